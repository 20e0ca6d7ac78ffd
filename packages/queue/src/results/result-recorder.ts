import { type BatchUsage, encodeSegmentEntry, type Refusal, type RequestStatus } from '@promptmill/core';
import { countUsage, dayOf } from '../usage/usage-records.ts';
import type { RedisConnection } from '../connection/redis.ts';
import { defineScript } from '../connection/script.ts';
import type { Keys } from '../keys.ts';
import { groupCalls } from './group-calls.ts';

/**
 * What a worker is to do with a request: call the provider for `run`, for `capped` when its batch's money is enough, and
 * make no call for any other. A limit of cost has `held` its batch. A kept call that has gone to a fallback is `moved`.
 */
export type RequestState = 'run' | 'capped' | 'held' | 'settled' | 'paused' | 'dropped' | 'moved';

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
  [batch: string, settledBits: string, results: string, ...usage: string[]],
  [batchId: string, ...entriesAndUsages: (string | number)[]],
  RecordOutcome[]
>(new URL('./record-results.lua', import.meta.url), countUsage);
const noteWaste = defineScript<[batch: string, usage: string], [model: string, cost: number | '-'], null>(
  new URL('../usage/note-waste.lua', import.meta.url),
  countUsage,
);

const noteRetry = defineScript<[batch: string], [], null>(new URL('./note-retry.lua', import.meta.url));
const noteRefusal = defineScript<[batch: string], [refusal: string], null>(
  new URL('./note-refusal.lua', import.meta.url),
);

/** Who pays for a call, and what. */
export interface Charge {
  readonly tenant: string;
  /** The model that was called, as `provider/model`. */
  readonly model: string;
  /** In billionths of a dollar; undefined when that is unknown. */
  readonly nanoUsd: number | undefined;
  /** Characters of the request's texts, from which the tokens of others like it are estimated. */
  readonly inputCharacters: number;
  /** Whether a flex tier answered. Default: no. */
  readonly isFlex?: boolean;
}

interface EncodedResult {
  readonly entry: string;
  readonly usage: BatchUsage;
  readonly charge: Charge | undefined;
}

/**
 * The worker's side: it checks a request before a call, and records its result. The requests of a batch that are
 * checked or recorded in one event-loop turn share one call to Redis. If that fails, it fails for all of them.
 */
export const createResultRecorder = (redis: RedisConnection, keys: Keys, now: () => number = Date.now) => {
  const usageToday = (tenant: string): string => keys.usage(tenant, dayOf(now()));
  const check = groupCalls((batchId: string, requests: readonly RecordedRequest[]) =>
    checkRequests(
      redis,
      [keys.batch(batchId), keys.settledBits(batchId)],
      requests.flatMap(({ index, bytes }) => [index, bytes]),
    ),
  );
  const record = groupCalls(
    (batchId: string, results: readonly EncodedResult[]) => {
      const tenant = results.find(({ charge }) => charge)?.charge?.tenant;
      return recordResults(
        redis,
        [
          keys.batch(batchId),
          keys.settledBits(batchId),
          keys.results,
          ...(tenant === undefined ? [] : [usageToday(tenant)]),
        ],
        [
          batchId,
          ...results.flatMap(({ entry, usage, charge }) => [
            entry,
            usage.inputTokens,
            usage.cachedTokens,
            usage.outputTokens,
            usage.reasoningTokens,
            charge?.inputCharacters ?? 0,
            charge?.model ?? '',
            charge?.isFlex ? 1 : 0,
          ]),
        ],
      );
    },
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

    /** Counts a call that failed and is made again. */
    async noteRetry(batchId: string): Promise<void> {
      await noteRetry(redis, [keys.batch(batchId)], []);
    },

    /** Counts a call that gave no result although its provider says what it used. */
    async noteWaste(batchId: string, { tenant, model, nanoUsd }: Charge): Promise<void> {
      await noteWaste(redis, [keys.batch(batchId), usageToday(tenant)], [model, nanoUsd ?? '-']);
    },

    /**
     * Only the first terminal result of a request is kept. `line` is JSON on one line. A result without a charge came
     * without a call, and costs nothing.
     */
    record: (
      { batchId, index, bytes }: RecordedRequest,
      status: RequestStatus,
      line: string,
      usage: BatchUsage,
      charge?: Charge,
    ): Promise<RecordOutcome> => {
      const nanoUsd = charge ? charge.nanoUsd : 0;
      return record(batchId, { entry: encodeSegmentEntry({ index, status, bytes, nanoUsd, line }), usage, charge });
    },
  };
};

export type ResultRecorder = ReturnType<typeof createResultRecorder>;
