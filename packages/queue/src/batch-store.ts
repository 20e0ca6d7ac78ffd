import {
  type Batch,
  type BatchError,
  type BatchStatus,
  type Blocked,
  canTransition,
  type HeldLane,
  noUsage,
  statusesBefore,
  timestampOf,
} from '@promptmill/core';
import { createCreatedIndex, type Page } from './created-index.ts';
import type { Keys } from './keys.ts';
import type { RedisConnection } from './redis.ts';
import { createScripts } from './scripts.ts';

/** What a batch is created with. Times are Unix seconds. */
export type NewBatch = Pick<
  Batch,
  | 'id'
  | 'tenant'
  | 'endpoint'
  | 'inputFileId'
  | 'completionWindow'
  | 'metadata'
  | 'outputFileId'
  | 'errorFileId'
  | 'outputExpiresAfterSeconds'
  | 'createdAt'
  | 'expiresAt'
  | 'retryOf'
>;

/** How far a batch's input has been dispatched. */
export interface Cursor {
  /** Requests that have been added to a lane; also the index of the next. */
  readonly dispatched: number;
  /** Where the next line starts in the input file. */
  readonly cursorOffset: number;
  /** 1-based number of the next line. */
  readonly cursorLine: number;
  /** For each lane: the position after the batch's last request there. */
  readonly positions: Readonly<Record<string, number>>;
}

export interface DispatchState extends Cursor {
  /** Requests in a lane without a result. */
  readonly outstanding: number;
  /** Input bytes of those. */
  readonly outstandingBytes: number;
  /** Results that are in segments. */
  readonly collected: number;
  /** Results that are not yet: they are in Redis. */
  readonly uncollected: number;
  /** Why no further request is wanted, if that is so, and since when, in Unix seconds. */
  readonly stopping?: StopReason;
  readonly stoppedAt?: number;
  /** Whether jobs ended without a result since a worker took them while the batch was paused. */
  readonly parked: boolean;
  /** Whether no further result is recorded. */
  readonly closed: boolean;
  /** Whether every result the batch will have is in a segment. */
  readonly ready: boolean;
}

/** What ends a batch before all of its requests have run. */
export type StopReason = 'cancelled' | 'expired';

/** Fields that may be written along with a status. */
export interface StatusFields {
  readonly total?: number;
  readonly model?: string;
  readonly completed?: number;
  readonly failed?: number;
  readonly errors?: readonly BatchError[];
  readonly outputPublished?: boolean;
  readonly errorPublished?: boolean;
  readonly stopping?: StopReason;
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
}

export type PauseOutcome =
  | { readonly kind: 'done'; readonly pause: Pause }
  | { readonly kind: 'known' }
  | { readonly kind: 'refused'; readonly status: BatchStatus }
  | { readonly kind: 'missing' };

/** A batch that was written but whose creation never finished goes away after this long. */
export const unfinishedCreateSeconds = 3600;

/** What it costs to read the input again from a mark, against a list that grows with the batch. */
const requestsBetweenMarks = 10_000;

const encodeFields = (fields: Readonly<Record<string, unknown>>): string[] =>
  Object.entries(fields)
    .filter(([, value]) => value !== undefined)
    .flatMap(([name, value]) => [name, typeof value === 'string' ? value : JSON.stringify(value)]);

const decodeBatch = (id: string, record: Readonly<Record<string, string>>): Batch | undefined => {
  const fixed = record['fixed'];
  if (fixed === undefined) return undefined;
  const number = (name: string): number => Number(record[name] ?? 0);
  const times = Object.fromEntries(
    Object.values(timestampOf)
      .filter((name) => record[name] !== undefined)
      .map((name) => [name.replace(/_(.)/g, (_, letter: string) => letter.toUpperCase()), number(name)]),
  );
  return {
    ...(JSON.parse(fixed) as Omit<NewBatch, 'id'>),
    ...times,
    ...(record['model'] === undefined ? {} : { model: record['model'] }),
    ...(record['paused'] === undefined ? {} : { pausedAt: number('paused') }),
    id,
    status: record['status'] as BatchStatus,
    errors: JSON.parse(record['errors'] ?? '[]') as BatchError[],
    outputPublished: record['outputPublished'] === 'true',
    errorPublished: record['errorPublished'] === 'true',
    total: number('total'),
    completed: number('completed'),
    failed: number('failed'),
    usage: {
      ...noUsage,
      inputTokens: number('inputTokens'),
      cachedTokens: number('cachedTokens'),
      outputTokens: number('outputTokens'),
      reasoningTokens: number('reasoningTokens'),
    },
    ...(record['requestsPerSecond'] === undefined ? {} : { requestsPerSecond: number('requestsPerSecond') }),
    waitingFor: JSON.parse(record['waitingFor'] ?? '[]') as HeldLane[],
    retriedBy: JSON.parse(record['retriedBy'] ?? '[]') as string[],
    ...(record['blocked'] === undefined ? {} : { blocked: JSON.parse(record['blocked']) as Blocked }),
  };
};

/** The record of each batch: its status, counts and cursor. The truth, of which BullMQ's jobs are only a means. */
export const createBatchStore = (redis: RedisConnection, keys: Keys) => {
  const run = createScripts(redis);
  const index = createCreatedIndex(redis, run, keys);

  const read = async (id: string): Promise<Batch | undefined> => decodeBatch(id, await redis.hgetall(keys.batch(id)));

  const setPaused = async (id: string, { number, since }: Partial<Pause>): Promise<PauseOutcome> => {
    const answer = (await run('pauseBatch', keys.batch(id), since ?? '', number ?? '')) as
      | BatchStatus
      | 'known'
      | 'missing'
      | number;
    if (typeof answer === 'number')
      return { kind: 'done', pause: { number: answer, ...(since === undefined ? {} : { since }) } };
    return answer === 'known' || answer === 'missing' ? { kind: answer } : { kind: 'refused', status: answer };
  };

  return {
    /** Writes the record; it lasts only once {@link confirmCreated} has run. Does nothing when the batch exists. */
    async create(batch: NewBatch): Promise<void> {
      const { id, ...fixed } = batch;
      const status: BatchStatus = 'validating';
      await run('createBatch', keys.batch(id), JSON.stringify(fixed), status, unfinishedCreateSeconds);
    },

    /** Makes a created batch last, lists it with its tenant's and notes it with the batch it is a retry of. */
    async confirmCreated(batch: Pick<Batch, 'id' | 'tenant' | 'retryOf'>, nowMs: number): Promise<void> {
      const { id, tenant, retryOf } = batch;
      await Promise.all([
        redis.persist(keys.batch(id)),
        index.add(keys.batchIndex(tenant), tenant, id, nowMs),
        ...(retryOf === undefined ? [] : [run('linkRetry', keys.batch(retryOf), id)]),
      ]);
    },

    get: read,

    /** Newest first; undefined when `after` is no batch of this tenant. */
    async list(
      tenant: string,
      options: { after?: string | undefined; limit: number },
    ): Promise<Page<Batch> | undefined> {
      const { after, limit } = options;
      const ids = await index.ids(keys.batchIndex(tenant), tenant, { after, limit: limit + 1, order: 'desc' });
      if (!ids) return undefined;
      const batches = await Promise.all(ids.slice(0, limit).map(read));
      return { items: batches.filter((batch) => batch !== undefined), hasMore: ids.length > limit };
    },

    /** Compare-and-set on the status, with its timestamp and more fields in the same step. */
    async transition(
      id: string,
      to: BatchStatus,
      nowMs: number,
      fields: StatusFields = {},
    ): Promise<TransitionOutcome> {
      const from = statusesBefore(to);
      const timestamp = to in timestampOf ? timestampOf[to as keyof typeof timestampOf] : undefined;
      const before = (await run(
        'transitionBatch',
        keys.batch(id),
        to,
        from.length,
        ...from,
        ...encodeFields({ ...fields, ...(timestamp ? { [timestamp]: Math.floor(nowMs / 1000) } : {}) }),
      )) as BatchStatus | 'missing';
      if (before === 'missing') return { kind: 'missing' };
      return canTransition(before, to) ? { kind: 'moved' } : { kind: 'refused', status: before };
    },

    /** From now on no request of this batch is begun; its deadline stands. Refused when it has no more to begin. */
    pause: (id: string, nowMs: number): Promise<PauseOutcome> => setPaused(id, { since: Math.floor(nowMs / 1000) }),

    /** Lets a paused batch go on. */
    resume: (id: string): Promise<PauseOutcome> => setPaused(id, {}),

    /** Does a pause or resume again that Redis may have lost. */
    pauseAgain: (id: string, pause: Pause): Promise<PauseOutcome> => setPaused(id, pause),

    async dispatchState(id: string): Promise<DispatchState> {
      const record = await redis.hgetall(keys.batch(id));
      const number = (name: string): number => Number(record[name] ?? 0);
      const stopping = record['stopping'] as StopReason | undefined;
      const closed = record['closed'] !== undefined;
      const collected = number('collected');
      const expected = closed ? number('completed') + number('failed') : number('total');
      return {
        ...(stopping ? { stopping } : {}),
        ...(stopping ? { stoppedAt: number('cancelling_at') || number('stoppedAt') } : {}),
        parked: record['parked'] !== undefined,
        closed,
        collected,
        uncollected: number('completed') + number('failed') - collected,
        ready: collected === expected && (closed || expected > 0),
        dispatched: number('dispatched'),
        cursorOffset: number('cursorOffset'),
        cursorLine: number('cursorLine') || 1,
        positions: JSON.parse(record['positions'] ?? '{}') as Record<string, number>,
        outstanding: number('dispatched') - number('completed') - number('failed') - number('dropped'),
        outstandingBytes: number('cursorOffset') - number('settledBytes'),
      };
    },

    /** Memory that the results of this and other batches take in Redis until they are in segments, in bytes. */
    resultsBytes: (id: string): Promise<number> => run('resultsBytes', keys.resultsOf(id)) as Promise<number>,

    /** False when another dispatcher moved the cursor meanwhile. */
    async advanceCursor(id: string, from: number, to: Cursor): Promise<boolean> {
      const { dispatched, cursorOffset, cursorLine, positions } = to;
      const places = JSON.stringify(positions);
      const moved = await run(
        'advanceCursor',
        keys.batch(id),
        keys.marks(id),
        from,
        dispatched,
        cursorOffset,
        cursorLine,
        places,
        requestsBetweenMarks,
      );
      return moved === 1;
    },

    /** Shows how fast a batch gets on and what it waits for. For screens; nothing is decided by it. */
    async observe(id: string, seen: Pick<Batch, 'requestsPerSecond' | 'waitingFor'>): Promise<void> {
      await redis.hset(keys.batch(id), ...encodeFields(seen));
    },

    /** Shows why a batch's results do not get into files, until they do. Whether this was not known before. */
    async block(id: string, { code, message }: Blocked): Promise<boolean> {
      return (await run('blockBatch', keys.batch(id), JSON.stringify({ code, message }))) === 1;
    },

    /** No request of this batch is begun any more; those in flight may still be recorded. The first reason stands. */
    async stop(id: string, reason: StopReason, nowMs: number): Promise<void> {
      await redis.hsetnx(keys.batch(id), 'stoppedAt', Math.floor(nowMs / 1000));
      await redis.hsetnx(keys.batch(id), 'stopping', reason);
    },

    /** What was parked gets a job again. */
    async unpark(id: string): Promise<void> {
      await redis.hdel(keys.batch(id), 'parked');
    },

    /** No result of this batch is recorded any more. */
    async close(id: string, total: number): Promise<void> {
      await redis.hset(keys.batch(id), { closed: 1, total });
    },

    /** Forgets a batch. Its list entry goes first: what is listed is there. */
    async remove({ id, tenant }: Pick<Batch, 'id' | 'tenant'>, nowMs: number): Promise<void> {
      await index.remove(keys.batchIndex(tenant), tenant, id, nowMs);
      await redis.unlink(...keys.ofBatch(id));
    },

    /** Names of the batch's segments in the order they were collected. */
    segments: (id: string, from = 0, to = -1): Promise<string[]> => redis.lrange(keys.segments(id), from, to),
  };
};

export type BatchStore = ReturnType<typeof createBatchStore>;
