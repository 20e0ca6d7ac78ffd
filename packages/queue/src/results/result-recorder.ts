import { type BatchUsage, encodeSegmentEntry, type Refusal, type RequestStatus } from '@promptmill/core';
import type { RedisConnection } from '../connection/redis.ts';
import { defineScript } from '../connection/script.ts';
import type { Keys } from '../keys.ts';
import { groupCalls } from './group-calls.ts';

/**
 * What a worker is to do with a request: call the provider for `run`, and make no call for any other. A kept call that
 * has gone to a fallback is `moved`.
 */
export type RequestState = 'run' | 'settled' | 'paused' | 'dropped' | 'moved';

export type RecordOutcome = 'recorded' | 'duplicate' | 'sealed';

export interface RecordedRequest {
  readonly batchId: string;
  readonly index: number;
  /** Bytes of its input line. */
  readonly bytes: number;
}

const checkRequests = defineScript<[batch: string, settledBits: string], number[], RequestState[]>(
  new URL('./check-requests.lua', import.meta.url),
);
const recordResults = defineScript<
  [batch: string, settledBits: string, results: string],
  [batchId: string, ...entriesAndUsages: (string | number)[]],
  RecordOutcome[]
>(new URL('./record-results.lua', import.meta.url));

const noteRefusal = defineScript<[batch: string], [refusal: string], null>(
  new URL('./note-refusal.lua', import.meta.url),
);

interface EncodedResult {
  readonly entry: string;
  readonly usage: BatchUsage;
}

/**
 * The worker's side: it checks a request before a call, and records its result. The requests of a batch that are
 * checked or recorded in one event-loop turn share one call to Redis. If that fails, it fails for all of them.
 */
export const createResultRecorder = (redis: RedisConnection, keys: Keys) => {
  const check = groupCalls((batchId: string, requests: readonly RecordedRequest[]) =>
    checkRequests(
      redis,
      [keys.batch(batchId), keys.settledBits(batchId)],
      requests.flatMap(({ index, bytes }) => [index, bytes]),
    ),
  );
  const record = groupCalls(
    (batchId: string, results: readonly EncodedResult[]) =>
      recordResults(
        redis,
        [keys.batch(batchId), keys.settledBits(batchId), keys.results],
        [
          batchId,
          ...results.flatMap(({ entry, usage }) => [
            entry,
            usage.inputTokens,
            usage.cachedTokens,
            usage.outputTokens,
            usage.reasoningTokens,
          ]),
        ],
      ),
    ({ entry }) => entry.length,
  );

  return {
    /** Asks whether to call the provider for a request. Counts a dropped request, and notes a parked one. */
    check: (request: RecordedRequest): Promise<RequestState> => check(request.batchId, request),

    /** Whether a batch wants calls now. It only reads, and does not count as {@link check} does. */
    async isRunning(batchId: string): Promise<boolean> {
      const [status, stopping, paused] = await redis.hmget(keys.batch(batchId), 'status', 'stopping', 'paused');
      return status === 'in_progress' && stopping === null && paused === null;
    },

    /** Notes how a provider refused one of a batch's requests, for the batch's owner to read. */
    async noteRefusal(batchId: string, { lane, reason, message }: Refusal): Promise<void> {
      await noteRefusal(redis, [keys.batch(batchId)], [JSON.stringify({ lane, reason, message })]);
    },

    /** Only the first terminal result of a request is kept. `line` is JSON on one line. */
    record: (
      { batchId, index, bytes }: RecordedRequest,
      status: RequestStatus,
      line: string,
      usage: BatchUsage,
    ): Promise<RecordOutcome> => record(batchId, { entry: encodeSegmentEntry({ index, status, bytes, line }), usage }),
  };
};

export type ResultRecorder = ReturnType<typeof createResultRecorder>;
