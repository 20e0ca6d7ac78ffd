import type { Keys } from '../keys.ts';
import type { RedisConnection } from '../connection/redis.ts';

/** Where a request's line starts in the input. */
export interface InputPlace {
  readonly index: number;
  readonly offset: number;
  /** 1-based. */
  readonly line: number;
}

/** Bits are read in pieces: those of a batch of 5,000,000 are 625 kB. */
const pieceBytes = 64 * 1024;

const readMark = (mark: string): InputPlace => {
  const [index = 0, offset = 0, line = 1] = mark.split(' ').map(Number);
  return { index, offset, line };
};

/** What has become of the requests of a batch that were dispatched. */
export const createDispatchedRequests = (redis: RedisConnection, keys: Keys) => ({
  /** The first `limit` requests below `dispatched` that have no result. */
  async unsettled(id: string, dispatched: number, limit: number): Promise<number[]> {
    const key = keys.settledBits(id);
    const found: number[] = [];
    if (dispatched === 0) return found;
    // Of a full string without a 0 the first is right behind it; a missing one has it at 0.
    const first = await redis.bitpos(key, 0);
    for (let at = Math.floor(first / 8); at * 8 < dispatched; at += pieceBytes) {
      const bits = await redis.getrangeBuffer(key, at, at + pieceBytes - 1);
      const end = Math.min(dispatched, (at + pieceBytes) * 8);
      for (let index = at * 8; index < end; index++) {
        if (((bits[(index >> 3) - at] ?? 0) & (0x80 >> (index & 7))) !== 0) continue;
        if (found.length === limit) return found;
        found.push(index);
      }
    }
    return found;
  },

  /** For each of the requests, whether it has its result. */
  async areSettled(id: string, indexes: readonly number[]): Promise<boolean[]> {
    const bits = await Promise.all(indexes.map((index) => redis.getbit(keys.settledBits(id), index)));
    return bits.map((bit) => bit === 1);
  },

  /** Requests from `dispatched` on that have a result: Redis has lost the cursor that was beyond them. */
  async settledBeyond(id: string, dispatched: number): Promise<number> {
    return redis.bitcount(keys.settledBits(id), dispatched, -1, 'BIT');
  },

  /** A place in the input from which `index` is not far. */
  async placeBefore(id: string, index: number): Promise<InputPlace> {
    const marks = await redis.lrange(keys.marks(id), 0, -1);
    return marks.map(readMark).findLast((mark) => mark.index <= index) ?? { index: 0, offset: 0, line: 1 };
  },
});

export type DispatchedRequests = ReturnType<typeof createDispatchedRequests>;
