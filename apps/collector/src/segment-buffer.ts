import type { RecordedResults } from '@promptmill/queue';

export interface SegmentBufferOptions {
  /** A segment is due at this many results. Default 1000. */
  readonly maxResults?: number;
  /** A segment is due at this many bytes of results. Default 4 MiB. */
  readonly maxBytes?: number;
  /** While all batches together hold more bytes than this, the largest segments are due. Default 32 MiB. */
  readonly maxHeldBytes?: number;
  /** The longest a result waits for others while its batch has plenty to come, in milliseconds. Default 1000. */
  readonly maxHoldMs?: number;
}

interface Pending {
  readonly results: Map<string, RecordedResults>;
  count: number;
  bytes: number;
  dueAtMs: number;
}

export interface Segment {
  readonly batchId: string;
  readonly results: readonly RecordedResults[];
}

/** With fewer requests than this left, results are not held for long: the batch is about to end. */
const nearTheEnd = 100;
const holdNearTheEndMs = 100;

/**
 * Holds results until they make a segment worth writing. While results of a batch keep coming, a segment has many; after
 * the last one it is due at once.
 */
export const createSegmentBuffer = (options: SegmentBufferOptions = {}) => {
  const { maxResults = 1000, maxBytes = 4 * 1024 * 1024, maxHeldBytes = 32 * 1024 * 1024, maxHoldMs = 1000 } = options;
  const pending = new Map<string, Pending>();
  let heldBytes = 0;

  const holdMs = (left: number): number => {
    if (left === 0) return 0;
    return left < nearTheEnd ? Math.min(holdNearTheEndMs, maxHoldMs) : maxHoldMs;
  };

  const take = (batchId: string, { results, bytes }: Pending): Segment => {
    pending.delete(batchId);
    heldBytes -= bytes;
    return { batchId, results: [...results.values()] };
  };

  return {
    /** Adding results again, as a claim may, changes nothing. */
    add(results: RecordedResults, nowMs: number): void {
      const { batchId, streamId, count, left, entries } = results;
      const batch = pending.get(batchId) ?? { results: new Map(), count: 0, bytes: 0, dueAtMs: Infinity };
      pending.set(batchId, batch);
      if (batch.results.has(streamId)) return;
      batch.results.set(streamId, results);
      batch.count += count;
      batch.bytes += entries.length;
      heldBytes += entries.length;
      const full = batch.count >= maxResults || batch.bytes >= maxBytes;
      batch.dueAtMs = full ? nowMs : Math.min(batch.dueAtMs, nowMs + holdMs(left));
    },

    /** Milliseconds until a segment is due; Infinity when nothing is held. */
    dueInMs(nowMs: number): number {
      let dueAtMs = Infinity;
      for (const batch of pending.values()) dueAtMs = Math.min(dueAtMs, batch.dueAtMs);
      return Math.max(0, dueAtMs - nowMs);
    },

    /** Hands over the segments due by `nowMs`; all that is held, given Infinity. */
    takeDue(nowMs: number): Segment[] {
      const due = [...pending].filter(([, { dueAtMs }]) => dueAtMs <= nowMs);
      const segments = due.map(([batchId, batch]) => take(batchId, batch));
      if (heldBytes <= maxHeldBytes) return segments;
      for (const [batchId, batch] of [...pending].sort(([, a], [, b]) => b.bytes - a.bytes)) {
        if (heldBytes <= maxHeldBytes) break;
        segments.push(take(batchId, batch));
      }
      return segments;
    },
  };
};
