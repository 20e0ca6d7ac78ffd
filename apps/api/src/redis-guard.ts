import { ApiError } from '@promptmill/core';
import { type RedisConnection, silenceMs } from '@promptmill/queue';
import type { RequestHandler } from 'express';

const errorNames = new Set(['MaxRetriesPerRequestError', 'ConnectionClosedError']);
const errorCodes = new Set(['ECONNREFUSED', 'ECONNRESET', 'ENOTFOUND', 'EAI_AGAIN', 'ETIMEDOUT', 'EPIPE']);
/** Messages of ioredis, then of Redis while it cannot serve. */
const errorMessages =
  /^(?:Connection is closed|Command timed out|Stream isn't writeable|Cluster isn't ready|Too many Cluster redirections|Failed to refresh slots cache|None of startup nodes is available|(?:LOADING|BUSY|OOM|MISCONF|READONLY|CLUSTERDOWN|MASTERDOWN|TRYAGAIN|NOREPLICAS) )/;

/** Whether a command failed because Redis is away or cannot serve now, so that it may succeed when tried again. */
export const isRedisAway = (error: unknown): boolean =>
  error instanceof Error &&
  (errorNames.has(error.name) ||
    ('code' in error && errorCodes.has(String(error.code))) ||
    errorMessages.test(error.message));

/** Redis refuses what adds data once it holds `maxmemory`. */
const isOutOfMemory = (error: unknown): boolean => error instanceof Error && error.message.startsWith('OOM ');

/** What a caller is told when Redis is away or cannot serve; `cause` is the error of its client, if there is one. */
export const serviceUnavailable = (cause?: unknown): ApiError =>
  isOutOfMemory(cause)
    ? new ApiError(503, 'The memory of the queue is full. Try again when some of its work has ended.', {
        code: 'out_of_memory',
        cause,
      })
    : new ApiError(503, 'The service cannot reach its database at the moment. Try again.', {
        code: 'service_unavailable',
        cause,
      });

/**
 * Answers 503 at once while Redis is known to be away. BullMQ would wait for Redis even where its connection does not.
 */
export const createRedisGuard =
  (redis: { readonly status: string }): RequestHandler =>
  (_request, _response, next) =>
    next(redis.status === 'ready' ? undefined : serviceUnavailable());

/** BullMQ waits without limit for a connection that has never been up; a caller is told within this time. */
const queueTimeoutMs = 1900;

/**
 * Resolves as `work` does. Rejects with a 503 when it takes too long and Redis is silent meanwhile. While Redis answers
 * others, `work` may take longer: a busy process is late with everything.
 *
 * @param silentMs how long Redis has not answered anything
 */
export const withinSilence = async <T>(work: Promise<T>, silentMs: () => number): Promise<T> => {
  const { promise, reject } = Promise.withResolvers<never>();
  let isOver = false;
  const look = (): void => {
    if (isOver) return;
    const leftMs = queueTimeoutMs - silentMs();
    if (leftMs <= 0) reject(serviceUnavailable());
    else timer = lookIn(leftMs);
  };
  // An event loop that was blocked reads Redis's answers first.
  const lookIn = (ms: number): NodeJS.Timeout => setTimeout(() => setImmediate(look), ms);
  let timer: NodeJS.Timeout | undefined;
  // A busy process sends its commands late, at the end of this turn of its event loop.
  setImmediate(() => {
    if (!isOver) timer = lookIn(queueTimeoutMs);
  });
  try {
    return await Promise.race([work, promise]);
  } finally {
    isOver = true;
    clearTimeout(timer);
  }
};

/** The same for work of a queue over this connection. Of a cluster, whose silence is not known, it takes 1.9 s at most. */
export const withinQueueTimeout = <T>(redis: RedisConnection, work: Promise<T>): Promise<T> =>
  withinSilence(work, () => silenceMs(redis));
