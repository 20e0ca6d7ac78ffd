import {
  type Batch,
  type BatchCopies,
  type BatchCost,
  type BatchError,
  type BatchStatus,
  type CostHold,
  type CostLimit,
  type Blocked,
  type HandedOff,
  type HeldLane,
  noUsage,
  type ReachedCostLimit,
  type Refusal,
  timestampOf,
} from '@promptmill/core';

/** A batch's hash, as Redis returns it. */
type BatchRecord = Readonly<Record<string, string>>;

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
  | 'maxCostNanoUsd'
  | 'retryOf'
  | 'checkSchema'
  | 'dedupe'
  | 'cache'
  | 'tier'
  | 'strategy'
  | 'webhook'
  | 'trace'
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
  /**
   * The list of requests that repeat others. A batch with `dedupe` or `cache` has none until it is known which do; others
   * never have one.
   */
  readonly repeatList?: string;
  /** Requests that repeat others. */
  readonly repeats: number;
  /** How many requests are handed off to batch APIs. Undefined while it is not decided. */
  readonly handedOff?: number;
  /** Shards on their way to their provider, or there. */
  readonly openShards: number;
  /** Shards that have ended, whose requests without a result get jobs. */
  readonly returningShards: number;
  /** Handed-off requests before the cursor without a result. */
  readonly waitingHandedOff: number;
  /** Requests after the cursor with copies, or with results of a batch API. */
  readonly copiedAhead: number;
  /** Input bytes of those requests. */
  readonly outstandingBytes: number;
  /** The bytes that count for the tenant. They are counted now and then. */
  readonly countedBytes: number;
  /** Results that are in segments. */
  readonly collected: number;
  /** Results that are in Redis and not yet in segments. */
  readonly uncollected: number;
  /** Bytes of those results. */
  readonly uncollectedBytes: number;
  /** Why the batch wants no more calls. Undefined while it wants them. */
  readonly stopping?: StopReason;
  /** When the batch was stopped, in Unix seconds. */
  readonly stoppedAt?: number;
  /** Whether requests are parked: their jobs ended without a result because the batch was paused. */
  readonly parked: boolean;
  /** Whether the batch takes no more results. */
  readonly sealed: boolean;
  /** Whether every result the batch will have is in a segment. */
  readonly ready: boolean;
}

/** A batch and its dispatch state, read at the same moment. */
export interface BatchSnapshot {
  readonly batch: Batch;
  readonly state: DispatchState;
}

/** What ends a batch before all of its requests have run. */
export type StopReason = 'cancelled' | 'expired';

/** The sums over a batch's results. */
export type Counts = Pick<Batch, 'completed' | 'failed' | 'usage'> &
  Pick<BatchCost, 'spentNanoUsd' | 'unpriced'> & {
    /** Input bytes of the requests that have a result. */
    readonly settledBytes: number;
    /** Results that flex gave, and what they cost. */
    readonly flexAnswers: number;
    readonly flexNanoUsd: number;
  };

/** The sums over a batch's copies. */
export interface CopyCounts {
  /** All copies. */
  readonly copied: number;
  /** Those of requests after the cursor, and results of batch APIs of such requests. */
  readonly copiedAhead: number;
  /** The repeats before the cursor that have no copy. */
  readonly waitingRepeats: number;
  /** The handed-off requests before the cursor that have no result. */
  readonly waitingHandedOff: number;
  readonly savedNanoUsd: number;
  readonly unpricedSaved: number;
}

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

/** Fields of the hash, without those that are undefined. */
export const encodeFields = (fields: Readonly<Record<string, unknown>>): string[] =>
  Object.entries(fields)
    .filter(([, value]) => value !== undefined)
    .flatMap(([name, value]) => [name, typeof value === 'string' ? value : JSON.stringify(value)]);

const decodeCostHold = ({ costHeld, costReached }: BatchRecord): CostHold => ({
  limit: costHeld as CostLimit,
  ...(costReached === undefined ? {} : { reached: JSON.parse(costReached) as ReachedCostLimit }),
});

/** Requests in a lane without a result. */
const outstandingOf = (number: (name: string) => number): number => {
  const settledByCursor = number('completed') + number('failed') - number('copiedAhead');
  const waiting = number('waitingRepeats') + number('waitingHandedOff');
  return number('dispatched') - waiting - settledByCursor - number('dropped');
};

const decodeCopies = (record: BatchRecord): BatchCopies | undefined => {
  if (record['copied'] === undefined && record['uncalled'] === undefined) return undefined;
  const [made = 0, expected = 0, savedNanoUsd = 0, unpriced = 0] = [
    'copied',
    'uncalled',
    'savedNanoUsd',
    'unpricedSaved',
  ].map((name) => Number(record[name] ?? 0));
  return { made, expected, savedNanoUsd, unpriced };
};

const decodeHandedOff = (record: BatchRecord): HandedOff | undefined => {
  const [requests = 0, waiting = 0, shards = 0, open = 0] = [
    'handedOff',
    'waitingHandedOff',
    'shards',
    'openShards',
  ].map((name) => Number(record[name] ?? 0));
  return requests === 0 ? undefined : { requests, waiting, shards, open };
};

/** Undefined when there is no such batch. */
export const decodeBatch = (id: string, record: BatchRecord): Batch | undefined => {
  const fixed = record['fixed'];
  if (fixed === undefined) return undefined;
  const copies = decodeCopies(record);
  const handedOff = decodeHandedOff(record);
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
    inLanes: outstandingOf(number),
    retries: number('retries'),
    usage: {
      ...noUsage,
      inputTokens: number('inputTokens'),
      cachedTokens: number('cachedTokens'),
      outputTokens: number('outputTokens'),
      reasoningTokens: number('reasoningTokens'),
    },
    cost: {
      spentNanoUsd: number('spentNanoUsd'),
      unpriced: number('unpriced'),
      wastedNanoUsd: number('wastedNanoUsd'),
      unpricedWaste: number('unpricedWaste'),
    },
    ...(copies ? { copies } : {}),
    ...(number('flexAnswers') > 0 ? { flex: { answers: number('flexAnswers'), nanoUsd: number('flexNanoUsd') } } : {}),
    ...(handedOff ? { handedOff } : {}),
    ...(record['maxCostNanoUsd'] === undefined ? {} : { maxCostNanoUsd: number('maxCostNanoUsd') }),
    ...(record['costHeld'] === undefined ? {} : { costHold: decodeCostHold(record) }),
    ...(record['requestsPerSecond'] === undefined ? {} : { requestsPerSecond: number('requestsPerSecond') }),
    waitingFor: JSON.parse(record['waitingFor'] ?? '[]') as HeldLane[],
    ...(record['lastRefusal'] === undefined ? {} : { lastRefusal: JSON.parse(record['lastRefusal']) as Refusal }),
    retriedBy: JSON.parse(record['retriedBy'] ?? '[]') as string[],
    ...(record['blocked'] === undefined ? {} : { blocked: JSON.parse(record['blocked']) as Blocked }),
  };
};

/** The dispatch state in a batch's hash. */
export const decodeDispatchState = (record: BatchRecord): DispatchState => {
  const number = (name: string): number => Number(record[name] ?? 0);
  const stopping = record['stopping'] as StopReason | undefined;
  const sealed = record['sealed'] !== undefined;
  const collected = number('collected');
  const expected = sealed ? number('completed') + number('failed') : number('total');
  return {
    ...(stopping ? { stopping } : {}),
    ...(stopping ? { stoppedAt: number('cancelling_at') || number('stoppedAt') } : {}),
    parked: record['parked'] !== undefined,
    sealed,
    collected,
    uncollected: number('completed') + number('failed') - collected,
    uncollectedBytes: number('uncollectedBytes'),
    ready: collected === expected && (sealed || expected > 0),
    dispatched: number('dispatched'),
    cursorOffset: number('cursorOffset'),
    cursorLine: number('cursorLine') || 1,
    positions: JSON.parse(record['positions'] ?? '{}') as Record<string, number>,
    outstanding: outstandingOf(number),
    ...(record['repeatList'] === undefined ? {} : { repeatList: record['repeatList'] }),
    repeats: number('repeats'),
    ...(record['handedOff'] === undefined ? {} : { handedOff: number('handedOff') }),
    openShards: number('openShards'),
    returningShards: number('returningShards'),
    waitingHandedOff: number('waitingHandedOff'),
    copiedAhead: number('copiedAhead'),
    countedBytes: number('countedBytes'),
    outstandingBytes: number('cursorOffset') - number('skippedBytes') - number('settledBytes'),
  };
};
