import type { IncomingMessage, ServerResponse } from 'node:http';
import type { CallLog } from './call-log.ts';
import type { CallStatsRecorder } from './call-stats.ts';
import type { Headers } from './send-answer.ts';

/** A call from its arrival until its response closes. Each step notes here what the call log will say. */
export interface OpenCall {
  readonly id: string;
  /** When it arrived, in epoch milliseconds. */
  readonly at: number;
  readonly path: string;
  readonly request: IncomingMessage;
  readonly response: ServerResponse;
  readonly idempotencyKey: string | null;
  /** The headers of any answer, as they are now: the request id and the rate limits. */
  readonly baseHeaders: () => Headers;
  model: string | null;
  tier: 'flex' | undefined;
  tokens: number;
  /** Tokens of its prompt that were cached. */
  cachedTokens: number;
  fault: string | undefined;
  /** A fault ended the connection, not the caller. */
  isCutByFault: boolean;
  /** The call counts against the limits until it ends. */
  isAdmitted: boolean;
  /** The timer or interval the call waits on; cleared when it ends. */
  timer: NodeJS.Timeout | undefined;
}

export interface OpenCallDeps {
  readonly stats: CallStatsRecorder;
  readonly callLog: CallLog | undefined;
  readonly epochMs: () => number;
  /** Says that an admitted call has ended. */
  readonly release: () => void;
}

/** Counts a call as begun. When its response closes, for whatever reason, counts the call as ended and logs it. */
export function openCall(
  { stats, callLog, epochMs, release }: OpenCallDeps,
  arrived: Pick<OpenCall, 'id' | 'path' | 'request' | 'response' | 'baseHeaders'>,
): OpenCall {
  const inFlight = stats.begin();
  const { request, response, path } = arrived;
  const key = request.headers['idempotency-key'];
  const call: OpenCall = {
    ...arrived,
    at: epochMs(),
    idempotencyKey: typeof key === 'string' ? key : null,
    model: null,
    tier: undefined,
    tokens: 0,
    cachedTokens: 0,
    fault: undefined,
    isCutByFault: false,
    isAdmitted: false,
    timer: undefined,
  };
  response.once('close', () => {
    clearTimeout(call.timer);
    if (call.isAdmitted) release();
    const entry = {
      at: call.at,
      endedAt: epochMs(),
      key: call.idempotencyKey,
      status: response.headersSent ? response.statusCode : 0,
      ...(call.fault !== undefined && { fault: call.fault }),
      path,
      model: call.model,
      ...(call.tier && { tier: call.tier }),
      inFlight,
      tokens: call.tokens,
      ...(!response.writableFinished && !call.isCutByFault && { aborted: true as const }),
    };
    stats.end(entry);
    callLog?.append(entry);
  });
  return call;
}
