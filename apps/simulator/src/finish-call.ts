import type { ApiError } from '@promptmill/core';
import { errorForStatus } from './api-error.ts';
import type { PreparedAnswer } from './endpoints/endpoint.ts';
import { faults, type FaultScene, type WholeAnswer } from './faults.ts';
import type { Fault } from './markers.ts';
import type { OpenCall } from './open-call.ts';
import { sendError, type Headers } from './send-answer.ts';

export interface Ending {
  readonly fault: Fault | undefined;
  /** Pause between two events of a stream. */
  readonly chunkDelayMs: number;
}

/** Sends the answer, or what a fault makes of it. */
export function finishCall(call: OpenCall, answer: PreparedAnswer, { fault, chunkDelayMs }: Ending): void {
  call.fault = fault?.name;
  if (fault === undefined) {
    const { headers, body } = renderAnswer(call, answer, false);
    call.response.writeHead(200, headers);
    if (answer.stream && chunkDelayMs > 0) sendEvents(call, body, chunkDelayMs);
    else call.response.end(body);
  } else if (fault.name === 'status') {
    failCall(call, errorForStatus(fault.status), fault.headers);
  } else {
    faults[fault.name](createScene(call, answer));
  }
}

function sendEvents(call: OpenCall, body: string, delayMs: number): void {
  const [first, ...others] = body.split(/(?<=\n\n)/);
  call.response.write(first);
  call.timer = setInterval(() => {
    call.response.write(others.shift());
    if (others.length > 0) return;
    clearInterval(call.timer);
    call.response.end();
  }, delayMs);
}

/** Sends an error, which costs the caller no tokens. */
export function failCall(call: OpenCall, error: ApiError, headers: Headers = {}): void {
  call.tokens = 0;
  sendError(call.response, error, { ...call.baseHeaders(), ...headers });
}

function renderAnswer(call: OpenCall, answer: PreparedAnswer, contentFiltered: boolean): WholeAnswer {
  const { id, cachedTokens } = call;
  const body = answer.render({ id, createdAt: Math.floor(call.at / 1000), contentFiltered, cachedTokens });
  const contentType = answer.stream ? 'text/event-stream; charset=utf-8' : 'application/json';
  const headers = {
    ...call.baseHeaders(),
    'content-type': contentType,
    ...(answer.stream ? { 'cache-control': 'no-cache' } : { 'content-length': Buffer.byteLength(body) }),
  };
  return { body, contentType, headers };
}

function createScene(call: OpenCall, answer: PreparedAnswer): FaultScene {
  const { response, baseHeaders } = call;
  return {
    response,
    baseHeaders,
    answer: ({ contentFiltered } = { contentFiltered: false }) => renderAnswer(call, answer, contentFiltered),
    sendError: (error) => failCall(call, error),
    everySecond: (tick) => {
      call.timer = setInterval(tick, 1000);
    },
    cut: (how) => {
      call.isCutByFault = true;
      const { socket } = response;
      if (how === 'fin') socket?.end();
      else if (how === 'rst') socket?.resetAndDestroy();
      else socket?.destroy();
    },
  };
}
