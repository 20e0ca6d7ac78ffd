import type { RedisConnection } from '../connection/redis.ts';
import { defineScript } from '../connection/script.ts';
import type { Keys } from '../keys.ts';

/** Results of one batch that were recorded together: an entry of the stream, on its way to a segment. */
export interface RecordedResults {
  readonly streamId: string;
  readonly batchId: string;
  /** Requests of the batch still without a result when these were recorded. */
  readonly left: number;
  readonly count: number;
  /** Their segment entries, one after another, in no particular order. */
  readonly entries: Buffer;
}

const commitSegment = defineScript<
  [batch: string, segments: string, results: string],
  [group: string, segment: string, ...idsCountsAndBytes: (string | number)[]],
  'ready' | 'partial'
>(new URL('./commit-segment.lua', import.meta.url));

export const collectorGroup = 'collectors';
const group = collectorGroup;
const streamStart = '0-0';

type StreamEntry = [id: Buffer, fields: Buffer[] | null];

/** The order of the fields is the one in record-results.lua. */
const decodeEntry = ([streamId, fields]: StreamEntry): RecordedResults | undefined => {
  if (!fields) return undefined;
  const [, batchId, , left, , count, , entries] = fields;
  return {
    streamId: String(streamId),
    batchId: String(batchId),
    left: Number(left),
    count: Number(count),
    // A copy: the parser's own buffer holds other entries too, and would stay in memory with this one.
    entries: Buffer.from(entries ?? ''),
  };
};

const decodeEntries = (entries: StreamEntry[]): RecordedResults[] =>
  entries.map(decodeEntry).filter((entry) => entry !== undefined);

export interface ResultsStreamOptions {
  /** For commands. */
  readonly redis: RedisConnection;
  /** A connection used for nothing else, since it waits in XREADGROUP. */
  readonly blocking: RedisConnection;
  readonly keys: Keys;
  /** This collector's name in the group. */
  readonly consumer: string;
}

/** The collector's side of the results stream. */
export const createResultsStream = ({ redis, blocking, keys, consumer }: ResultsStreamOptions) => {
  const stream = keys.results;
  let claimFrom = streamStart;
  return {
    async ensureGroup(): Promise<void> {
      try {
        await redis.xgroup('CREATE', stream, group, '0', 'MKSTREAM');
      } catch (error) {
        if (!String(error).includes('BUSYGROUP')) throw error;
      }
    },

    /** Removes consumers that hold nothing and were silent for `idleMs`: their processes were killed. */
    async forgetDead(idleMs: number): Promise<void> {
      const consumers = (await redis.xinfo('CONSUMERS', stream, group)) as (string | number)[][];
      for (const fields of consumers) {
        const valueOf = (name: string) => fields[fields.indexOf(name) + 1] ?? '';
        if (valueOf('pending') === 0 && Number(valueOf('idle')) > idleMs)
          await redis.xgroup('DELCONSUMER', stream, group, String(valueOf('name')));
      }
    },

    /** Reads up to `count` entries that no collector has read. Waits up to `blockMs` for the first. */
    async read(count: number, blockMs: number): Promise<RecordedResults[]> {
      const reply = await blocking.xreadgroupBuffer(
        ...(['GROUP', group, consumer, 'COUNT', count, 'BLOCK', blockMs, 'STREAMS', stream, '>'] as const),
      );
      return ((reply ?? []) as [Buffer, StreamEntry[]][]).flatMap(([, entries]) => decodeEntries(entries));
    },

    /**
     * Takes over up to `count` entries that a collector has held for `minIdleMs`: it is dead or stuck, or could not
     * write them. `more`: further held entries follow, and the next call continues there.
     */
    async claim(count: number, minIdleMs: number): Promise<{ results: RecordedResults[]; more: boolean }> {
      const reply = await redis.callBuffer('XAUTOCLAIM', stream, group, consumer, minIdleMs, claimFrom, 'COUNT', count);
      const [next, entries] = reply as [Buffer, StreamEntry[]];
      claimFrom = String(next);
      return { results: decodeEntries(entries), more: claimFrom !== streamStart };
    },

    /** Deletes a published segment's results from the stream. `ready` when the batch has no more results to come. */
    commit: (batchId: string, segment: string, results: readonly RecordedResults[]): Promise<'ready' | 'partial'> =>
      commitSegment(
        redis,
        [keys.batch(batchId), keys.segments(batchId), stream],
        [group, segment, ...results.flatMap(({ streamId, count, entries }) => [streamId, count, entries.length])],
      ),

    /** Leaves the group, unless entries are pending: another collector claims those. */
    async leave(): Promise<void> {
      const pending = await redis.xpending(stream, group, '-', '+', 1, consumer);
      if (pending.length === 0) await redis.xgroup('DELCONSUMER', stream, group, consumer);
    },
  };
};

export type ResultsStream = ReturnType<typeof createResultsStream>;
