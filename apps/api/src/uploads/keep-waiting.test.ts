import type { Response } from 'express';
import { afterEach, beforeEach, expect, it, vi } from 'vitest';
import { keepWaiting } from './keep-waiting.ts';

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

const fakeResponse = () => {
  const sent: string[] = [];
  const response = {
    headersSent: false,
    closed: false,
    status(code: number) {
      sent.push(`status ${code}`);
      return response;
    },
    type(name: string) {
      sent.push(`type ${name}`);
      return response;
    },
    write(text: string) {
      response.headersSent = true;
      sent.push(text);
    },
  };
  return { sent, response, waiting: response as unknown as Response };
};

it('sends nothing to a caller who waits for less than 30 s', () => {
  const { sent, waiting } = fakeResponse();
  const stop = keepWaiting(waiting);
  vi.advanceTimersByTime(29_999);
  stop();
  vi.advanceTimersByTime(3_600_000);
  expect(sent).toEqual([]);
});

it('sends the head and then a space every 15 s, until it is stopped or the caller leaves', () => {
  for (const end of ['stop', 'leave']) {
    const { sent, response, waiting } = fakeResponse();
    const stop = keepWaiting(waiting);
    vi.advanceTimersByTime(60_000);
    if (end === 'stop') stop();
    else response.closed = true;
    vi.advanceTimersByTime(3_600_000);
    expect(sent).toEqual(['status 200', 'type json', ' ', ' ', ' ']);
    expect(vi.getTimerCount()).toBe(0);
  }
});
