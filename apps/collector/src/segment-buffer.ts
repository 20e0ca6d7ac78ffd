import type { CollectedResult } from '@promptmill/queue';

export interface SegmentBufferOptions {
  /** A segment is due at this many results. Default 1000. */
  readonly maxResults?: number;
  /** A segment is due at this many characters of results. Default 4 Mi. */
  readonly maxCharacters?: number;
  /** The longest a result waits for others while its batch has plenty to come, in milliseconds. Default 1000. */
  readonly maxHoldMs?: number;
}

interface Pending {
  readonly results: Map<string, CollectedResult>;
  characters: number;
  dueAtMs: number;
}

export interface Segment {
  readonly batchId: string;
  readonly results: readonly CollectedResult[];
}

/** With fewer requests than this left, results are not held for long: the batch is about to end. */
const nearTheEnd = 100;
const holdNearTheEndMs = 100;

/**
 * Holds results until they make a segment worth writing: many at once while they keep coming, at once when the batch
 * has no more.
 */
export const createSegmentBuffer = (options: SegmentBufferOptions = {}) => {
  const { maxResults = 1000, maxCharacters = 4 * 1024 * 1024, maxHoldMs = 1000 } = options;
  const pending = new Map<string, Pending>();

  const holdMs = (left: number): number => {
    if (left === 0) return 0;
    return left < nearTheEnd ? Math.min(holdNearTheEndMs, maxHoldMs) : maxHoldMs;
  };

  return {
    /** Adding a result again, as a claim may, changes nothing. */
    add(result: CollectedResult, nowMs: number): void {
      const batch = pending.get(result.batchId) ?? { results: new Map(), characters: 0, dueAtMs: Infinity };
      pending.set(result.batchId, batch);
      if (batch.results.has(result.streamId)) return;
      batch.results.set(result.streamId, result);
      batch.characters += result.line.length;
      const full = batch.results.size >= maxResults || batch.characters >= maxCharacters;
      batch.dueAtMs = full ? nowMs : Math.min(batch.dueAtMs, nowMs + holdMs(result.left));
    },

    /** Milliseconds until a segment is due; Infinity when nothing is held. */
    dueInMs(nowMs: number): number {
      let dueAtMs = Infinity;
      for (const batch of pending.values()) dueAtMs = Math.min(dueAtMs, batch.dueAtMs);
      return Math.max(0, dueAtMs - nowMs);
    },

    /** Hands over the segments due by `nowMs`; all that is held, given Infinity. */
    takeDue(nowMs: number): Segment[] {
      const due = [...pending].filter(([, batch]) => batch.dueAtMs <= nowMs);
      return due.map(([batchId, batch]) => {
        pending.delete(batchId);
        return { batchId, results: [...batch.results.values()] };
      });
    },
  };
};
