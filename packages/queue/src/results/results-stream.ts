import type { RedisConnection } from '../connection/redis.ts';
import { defineScript } from '../connection/script.ts';
import type { Keys } from '../keys.ts';
import type { RequestStatus } from './result-recorder.ts';

/** A result on the stream, on its way to a segment. */
export interface CollectedResult {
  readonly streamId: string;
  readonly batchId: string;
  readonly index: number;
  readonly status: RequestStatus;
  /** Bytes of the request's input line. */
  readonly bytes: number;
  readonly line: string;
  /** Requests of the batch still without a result when this one was recorded. */
  readonly left: number;
}

const commitSegment = defineScript<
  [batch: string, segments: string, results: string],
  [group: string, segment: string, ...streamIds: string[]],
  'ready' | 'partial'
>(new URL('./commit-segment.lua', import.meta.url));

const group = 'collectors';
const streamStart = '0-0';

type StreamEntry = [id: string, fields: string[] | null];

const decodeEntry = ([streamId, fields]: StreamEntry): CollectedResult | undefined => {
  if (!fields) return undefined;
  const entry: Record<string, string> = {};
  for (let i = 0; i + 1 < fields.length; i += 2) entry[fields[i] ?? ''] = fields[i + 1] ?? '';
  const { batch = '', index, status, bytes, line = '', left } = entry;
  return {
    streamId,
    batchId: batch,
    index: Number(index),
    status: status as RequestStatus,
    bytes: Number(bytes),
    line,
    left: Number(left),
  };
};

const decodeEntries = (entries: StreamEntry[]): CollectedResult[] =>
  entries.map(decodeEntry).filter((entry) => entry !== undefined);

/**
 * The collector's side of one shard's stream.
 *
 * @param redis for commands
 * @param blocking a connection of its own, since it waits in XREADGROUP
 */
export const createResultsStream = (
  redis: RedisConnection,
  blocking: RedisConnection,
  keys: Keys,
  { shard, consumer }: { shard: number; consumer: string },
) => {
  const stream = keys.results(shard);
  let claimFrom = streamStart;
  return {
    async ensureGroup(): Promise<void> {
      try {
        await redis.xgroup('CREATE', stream, group, '0', 'MKSTREAM');
      } catch (error) {
        if (!String(error).includes('BUSYGROUP')) throw error;
      }
    },

    /** Forgets consumers that hold nothing and were not heard of for `idleMs`: their processes were killed. */
    async forgetDead(idleMs: number): Promise<void> {
      const consumers = (await redis.xinfo('CONSUMERS', stream, group)) as (string | number)[][];
      for (const fields of consumers) {
        const valueOf = (name: string) => fields[fields.indexOf(name) + 1] ?? '';
        if (valueOf('pending') === 0 && Number(valueOf('idle')) > idleMs)
          await redis.xgroup('DELCONSUMER', stream, group, String(valueOf('name')));
      }
    },

    /** Up to `count` results that no collector has had; waits up to `blockMs` for the first. */
    async read(count: number, blockMs: number): Promise<CollectedResult[]> {
      const reply = await blocking.xreadgroup(
        ...(['GROUP', group, consumer, 'COUNT', count, 'BLOCK', blockMs, 'STREAMS', stream, '>'] as const),
      );
      return ((reply ?? []) as [string, StreamEntry[]][]).flatMap(([, entries]) => decodeEntries(entries));
    },

    /**
     * Takes over results that a collector has held for `minIdleMs`: it is dead or stuck, or could not write them.
     * `more`: not all that are held have been looked at; the next call goes on from there.
     */
    async claim(count: number, minIdleMs: number): Promise<{ results: CollectedResult[]; more: boolean }> {
      const reply = await redis.xautoclaim(stream, group, consumer, minIdleMs, claimFrom, 'COUNT', count);
      const [next, entries] = reply as [string, StreamEntry[]];
      claimFrom = next;
      return { results: decodeEntries(entries), more: next !== streamStart };
    },

    /** Takes a published segment's results off the stream; `ready` when the batch has no more to come. */
    commit: (batchId: string, segment: string, streamIds: readonly string[]): Promise<'ready' | 'partial'> =>
      commitSegment(redis, [keys.batch(batchId), keys.segments(batchId), stream], [group, segment, ...streamIds]),

    /** Forgets this consumer; what it still held was claimed or is committed. */
    async leave(): Promise<void> {
      const pending = await redis.xpending(stream, group, '-', '+', 1, consumer);
      if (pending.length === 0) await redis.xgroup('DELCONSUMER', stream, group, consumer);
    },
  };
};

export type ResultsStream = ReturnType<typeof createResultsStream>;
