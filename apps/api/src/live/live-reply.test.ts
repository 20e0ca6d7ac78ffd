import type { Response } from 'express';
import { expect, it } from 'vitest';
import { createLiveReply } from './live-reply.ts';

const mib = 2 ** 20;

/** A reply whose caller reads nothing until it is told to. */
const openReply = () => {
  let nowMs = 0;
  const response = {
    writableLength: 0,
    destroyed: false,
    headersSent: false,
    status: () => response,
    set: () => response,
    flushHeaders: () => void (response.headersSent = true),
    write: (text: string) => void (response.writableLength += text.length),
    destroy: () => void (response.destroyed = true),
  };
  const reply = createLiveReply(response as unknown as Response, { now: () => nowMs });
  const head = { statusCode: 200, requestId: '', headers: {}, callMs: 0 };
  let from = 0;
  return {
    response,
    pass: (ms: number) => void (nowMs += ms),
    send: (bytes: number) =>
      reply.events({
        callId: 'a',
        kind: 'events',
        attempt: '1',
        head,
        from: from++,
        count: 1,
        text: 'x'.repeat(bytes),
      }),
  };
};

it('large events that come together are passed on: their caller had no time to read', () => {
  const { response, send } = openReply();
  for (let i = 0; i < 3; i++) send(10 * mib);
  expect([response.destroyed, response.writableLength]).toEqual([false, 30 * mib]);
});

it('a caller who has not caught up within a second is given up', () => {
  const { response, send, pass } = openReply();
  send(10 * mib);
  pass(900);
  send(1);
  response.writableLength = 0;
  pass(900);
  send(10 * mib);
  pass(900);
  send(1);
  expect(response.destroyed).toBe(false);
  pass(200);
  send(1);
  expect(response.destroyed).toBe(true);
});
