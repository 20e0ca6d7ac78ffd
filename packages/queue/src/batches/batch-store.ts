import {
  type Batch,
  type BatchStatus,
  type Blocked,
  canTransition,
  isTerminal,
  type ReachedCostLimit,
  statusesBefore,
  timestampOf,
} from '@promptmill/core';
import {
  type BatchSnapshot,
  type Cursor,
  decodeBatch,
  decodeDispatchState,
  type DispatchState,
  encodeFields,
  type NewBatch,
  type StatusFields,
  type StopReason,
} from './batch-record.ts';
import { advanceCursor, type SkippedRequests } from './advance-cursor.ts';
import { createCreatedIndex, type CreatedSpan, type Page } from '../indexes/created-index.ts';
import type { Keys } from '../keys.ts';
import type { RedisConnection } from '../connection/redis.ts';
import { defineScript } from '../connection/script.ts';

const at = (name: string): URL => new URL(`./${name}.lua`, import.meta.url);
const createBatch = defineScript<
  [batch: string],
  [fixed: string, status: BatchStatus, seconds: number, maxCost: number | ''],
  null
>(at('create-batch'));
const linkRetry = defineScript<[retried: string], [id: string], null>(at('link-retry'));
const pauseBatch = defineScript<
  [batch: string],
  [since: number | '', number: number | '', maxCost: number | ''],
  number | 'known' | 'missing' | BatchStatus
>(at('pause-batch'));
const transitionBatch = defineScript<
  [batch: string],
  [to: BatchStatus, fromCount: number, ...statusesThenFieldsAndValues: string[]],
  BatchStatus | 'missing'
>(at('transition-batch'));
const unblockBatch = defineScript<[batch: string], [reason: string], null>(at('unblock-batch'));
const blockBatch = defineScript<[batch: string], [reason: string], 0 | 1>(at('block-batch'));

const noteProgress = defineScript<
  [progress: string],
  [at: number, completed: number, failed: number, retries: number],
  null
>(at('note-progress'));

/** How many results a batch had at a time. */
export interface ProgressPoint {
  /** Unix seconds. */
  readonly at: number;
  readonly completed: number;
  readonly failed: number;
  readonly retries: number;
}

export type TransitionOutcome =
  | { readonly kind: 'moved' }
  | { readonly kind: 'refused'; readonly status: BatchStatus }
  | { readonly kind: 'missing' };

/** A pause of a batch, or with no time a resume of it. */
export interface Pause {
  /** Counted for each batch from 1. */
  readonly number: number;
  /** Unix seconds. */
  readonly since?: number;
  /** What the resumed batch may cost at most, in billionths of a dollar. Absent: as before. */
  readonly maxCostNanoUsd?: number;
}

export type PauseOutcome =
  | { readonly kind: 'done'; readonly pause: Pause }
  | { readonly kind: 'known' }
  | { readonly kind: 'refused'; readonly status: BatchStatus }
  | { readonly kind: 'missing' };

/** The record of a batch expires after this time, unless its creation is confirmed. */
export const unfinishedCreateSeconds = 3600;

/** Batches that are looked at at once. */
const stepSize = 100;
/** Batches that one search looks at. */
const mostLooked = 1000;

/**
 * The record of each batch: its status, counts and cursor. The record is the truth about a batch; BullMQ's jobs are
 * not.
 */
export const createBatchStore = (redis: RedisConnection, keys: Keys) => {
  const index = createCreatedIndex(redis, keys);

  const get = async (id: string): Promise<Batch | undefined> => decodeBatch(id, await redis.hgetall(keys.batch(id)));

  const setPaused = async (id: string, { number, ...pause }: Partial<Pause>): Promise<PauseOutcome> => {
    const answer = await pauseBatch(
      redis,
      [keys.batch(id)],
      [pause.since ?? '', number ?? '', pause.maxCostNanoUsd ?? ''],
    );
    if (typeof answer === 'number') return { kind: 'done', pause: { number: answer, ...pause } };
    return answer === 'known' || answer === 'missing' ? { kind: answer } : { kind: 'refused', status: answer };
  };

  return {
    /** Writes the record, which expires unless {@link confirmCreated} runs. Does nothing when the batch exists. */
    async create(batch: NewBatch): Promise<void> {
      const { id, ...fixed } = batch;
      const { maxCostNanoUsd = '' } = fixed;
      const status: BatchStatus = 'validating';
      await createBatch(
        redis,
        [keys.batch(id)],
        [JSON.stringify(fixed), status, unfinishedCreateSeconds, maxCostNanoUsd],
      );
    },

    /** Makes the record last, lists the batch for its tenant, and names a retry in the batch that it retries. */
    async confirmCreated(batch: Pick<Batch, 'id' | 'tenant' | 'retryOf'>, nowMs: number): Promise<void> {
      const { id, tenant, retryOf } = batch;
      await Promise.all([
        redis.persist(keys.batch(id)),
        index.add(keys.batchIndex(tenant), tenant, id, nowMs),
        ...(retryOf === undefined ? [] : [linkRetry(redis, [keys.batch(retryOf)], [id])]),
      ]);
    },

    get,

    /** Undefined when there is no such batch. */
    async read(id: string): Promise<BatchSnapshot | undefined> {
      const record = await redis.hgetall(keys.batch(id));
      const batch = decodeBatch(id, record);
      return batch && { batch, state: decodeDispatchState(record) };
    },

    /** Newest first, of any time unless told otherwise; undefined when `after` is no batch of this tenant. */
    async list(
      tenant: string,
      options: { after?: string | undefined; limit: number; created?: CreatedSpan },
    ): Promise<Page<Batch> | undefined> {
      const { limit } = options;
      const range = { ...options, limit: limit + 1, order: 'desc' } as const;
      const ids = await index.ids(keys.batchIndex(tenant), tenant, range);
      if (!ids) return undefined;
      const batches = await Promise.all(ids.slice(0, limit).map(get));
      return { items: batches.filter((batch) => batch !== undefined), hasMore: ids.length > limit };
    },

    /**
     * Batches that match, newest first. It looks at {@link mostLooked} batches at most, so that a page may be short.
     * Undefined when `after` is no batch of this tenant.
     */
    async find(
      tenant: string,
      { after, limit, matches }: { after?: string | undefined; limit: number; matches: (batch: Batch) => boolean },
    ): Promise<(Page<Batch> & { readonly lastId: string | undefined }) | undefined> {
      const items: Batch[] = [];
      let lastId = after;
      for (let looked = 0; looked < mostLooked; looked += stepSize) {
        const ids = await index.ids(keys.batchIndex(tenant), tenant, { after: lastId, limit: stepSize, order: 'desc' });
        if (!ids) return undefined;
        const batches = await Promise.all(ids.map(get));
        for (const [i, batch] of batches.entries()) {
          if (items.length === limit) return { items, hasMore: true, lastId };
          lastId = ids[i];
          if (batch && matches(batch)) items.push(batch);
        }
        if (ids.length < stepSize) return { items, hasMore: false, lastId };
      }
      return { items, hasMore: true, lastId };
    },

    /** The ids of a tenant's batches that have not ended, newest first, some at a time. */
    async *unended(tenant: string): AsyncGenerator<readonly string[]> {
      let after: string | undefined;
      for (;;) {
        const ids = await index.ids(keys.batchIndex(tenant), tenant, { after, limit: stepSize, order: 'desc' });
        if (!ids) return;
        const statuses = await Promise.all(ids.map((id) => redis.hget(keys.batch(id), 'status')));
        yield ids.filter((_, i) => statuses[i] && !isTerminal(statuses[i] as BatchStatus));
        if (ids.length < stepSize) return;
        after = ids.at(-1);
      }
    },

    /** Sets the status by compare-and-set, and its timestamp and the given fields in the same step. */
    async transition(
      id: string,
      to: BatchStatus,
      nowMs: number,
      fields: StatusFields = {},
    ): Promise<TransitionOutcome> {
      const from = statusesBefore(to);
      const timestamp = to in timestampOf ? timestampOf[to as keyof typeof timestampOf] : undefined;
      const written = encodeFields({ ...fields, ...(timestamp ? { [timestamp]: Math.floor(nowMs / 1000) } : {}) });
      const before = await transitionBatch(redis, [keys.batch(id)], [to, from.length, ...from, ...written]);
      if (before === 'missing') return { kind: 'missing' };
      return canTransition(before, to) ? { kind: 'moved' } : { kind: 'refused', status: before };
    },

    /**
     * From now on no worker starts a call for this batch. Its deadline stands. Refused when the batch is stopped,
     * finalizing or terminal.
     */
    pause: (id: string, nowMs: number): Promise<PauseOutcome> => setPaused(id, { since: Math.floor(nowMs / 1000) }),

    /**
     * Resumes a paused batch.
     *
     * @param maxCostNanoUsd what it may cost at most from now on; a batch that waits for money then goes on
     */
    resume: (id: string, maxCostNanoUsd?: number): Promise<PauseOutcome> =>
      setPaused(id, maxCostNanoUsd === undefined ? {} : { maxCostNanoUsd }),

    /** Repeats a pause or resume that Redis may have lost. */
    pauseAgain: (id: string, pause: Pause): Promise<PauseOutcome> => setPaused(id, pause),

    dispatchState: async (id: string): Promise<DispatchState> =>
      decodeDispatchState(await redis.hgetall(keys.batch(id))),

    /** `halted`: it moved, but the batch is paused or stopped. `overtaken`: another dispatcher has moved it. */
    advanceCursor: (id: string, from: number, to: Cursor, skipped?: SkippedRequests) =>
      advanceCursor(redis, keys, { id, from, to, skipped }),

    /** Notes how fast a batch runs and which lanes it waits for. */
    async observe(id: string, seen: Pick<Batch, 'requestsPerSecond' | 'waitingFor'>): Promise<void> {
      await redis.hset(keys.batch(id), ...encodeFields(seen));
    },

    /** Notes that a batch has reached a limit of its cost, for as long as that holds it. */
    async noteCostReached(id: string, reached: ReachedCostLimit): Promise<void> {
      await redis.hset(keys.batch(id), ...encodeFields({ costReached: reached }));
    },

    /** Notes why a batch is blocked, until its next segment or status. Resolves with whether the reason is new. */
    async block(id: string, { code, message }: Blocked): Promise<boolean> {
      return (await blockBatch(redis, [keys.batch(id)], [JSON.stringify({ code, message })])) === 1;
    },

    /** Removes the reason, unless the batch has another one by now. */
    async unblock(id: string, { code, message }: Blocked): Promise<void> {
      await unblockBatch(redis, [keys.batch(id)], [JSON.stringify({ code, message })]);
    },

    /**
     * From now on no call is started for this batch; calls in flight may still be recorded. The first reason stands.
     */
    async stop(id: string, reason: StopReason, nowMs: number): Promise<void> {
      await redis.hsetnx(keys.batch(id), 'stoppedAt', Math.floor(nowMs / 1000));
      await redis.hsetnx(keys.batch(id), 'stopping', reason);
    },

    /** Removes the note that requests are parked. The caller gives them new jobs. */
    async unpark(id: string): Promise<void> {
      await redis.hdel(keys.batch(id), 'parked');
    },

    /** From now on the batch takes no more results. */
    async seal(id: string, total: number): Promise<void> {
      await redis.hset(keys.batch(id), { sealed: 1, total });
    },

    /** Removes a batch: first from its tenant's list, so that every listed batch exists. */
    async remove({ id, tenant }: Pick<Batch, 'id' | 'tenant'>, nowMs: number): Promise<void> {
      await index.remove(keys.batchIndex(tenant), tenant, id, nowMs);
      await redis.unlink(...keys.ofBatch(id));
    },

    /** Notes how far a batch is, for the curve of its progress: once a second at first, and less and less often. */
    async noteProgress(id: string, { at, completed, failed, retries }: ProgressPoint): Promise<void> {
      await noteProgress(redis, [keys.progress(id)], [at, completed, failed, retries]);
    },

    /** How far the batch was, oldest first. */
    async progress(id: string): Promise<ProgressPoint[]> {
      const points = await redis.lrange(keys.progress(id), 0, -1);
      return points.map((point) => {
        const [at = 0, completed = 0, failed = 0, retries = 0] = point.split(' ').map(Number);
        return { at, completed, failed, retries };
      });
    },

    /** Names of the batch's segments in the order they were collected. */
    segments: (id: string, from = 0, to = -1): Promise<string[]> => redis.lrange(keys.segments(id), from, to),
  };
};

export type BatchStore = ReturnType<typeof createBatchStore>;
