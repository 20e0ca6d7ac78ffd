import type { Keys } from '../keys.ts';
import type { RedisConnection } from '../connection/redis.ts';

/** Where a request's line starts in the input. */
export interface InputPlace {
  readonly index: number;
  readonly offset: number;
  /** 1-based. */
  readonly line: number;
}

/** What Redis knows of a request. */
export interface RequestBits {
  readonly isSettled: boolean;
  /** Whether it gets a copy of another's result. */
  readonly isRepeat: boolean;
  /** Whether its provider's batch API has it, or is to get it. */
  readonly isHandedOff: boolean;
}

/** Bits are read in pieces: those of a batch of 5,000,000 are 625 kB. */
const pieceBytes = 64 * 1024;

const readMark = (mark: string): InputPlace => {
  const [index = 0, offset = 0, line = 1] = mark.split(' ').map(Number);
  return { index, offset, line };
};

const isSet = (bits: Buffer | undefined, at: number): boolean => ((bits?.[at >> 3] ?? 0) & (0x80 >> (at & 7))) !== 0;

/** States that are read at once: 512 bytes. */
const statesAtOnce = 4096;

/** Says what Redis knows of a batch's requests, which are asked for in order. */
export const lookAtStates = (
  requests: Pick<DispatchedRequests, 'states'>,
  id: string,
): ((index: number) => Promise<RequestBits>) => {
  let first = 0;
  let states: readonly RequestBits[] = [];
  return async (index) => {
    if (index < first || index >= first + states.length)
      [first, states] = [index, await requests.states(id, index, statesAtOnce)];
    return states[index - first] ?? { isSettled: false, isRepeat: false, isHandedOff: false };
  };
};

/** Tells which dispatched requests of a batch have a result, and where requests are in the input. */
export const createDispatchedRequests = (redis: RedisConnection, keys: Keys) => ({
  /** The first `limit` requests below `dispatched` that have no result, without those that wait for a copy or are handed off. */
  async unsettled(id: string, dispatched: number, limit: number): Promise<number[]> {
    const key = keys.settledBits(id);
    const found: number[] = [];
    if (dispatched === 0) return found;
    // BITPOS gives the position after the string when all bits are 1, and 0 when there is no string.
    const first = await redis.bitpos(key, 0);
    for (let at = Math.floor(first / 8); at * 8 < dispatched; at += pieceBytes) {
      const [bits, ...others] = await Promise.all(
        [key, keys.repeatBits(id), keys.handedOffBits(id)].map((each) =>
          redis.getrangeBuffer(each, at, at + pieceBytes - 1),
        ),
      );
      const end = Math.min(dispatched, (at + pieceBytes) * 8);
      for (let index = at * 8; index < end; index++) {
        if ([bits, ...others].some((each) => isSet(each, index - at * 8))) continue;
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

  /** For each of `count` requests from `first` on: whether it has its result, repeats another, and is handed off. */
  async states(id: string, first: number, count: number): Promise<RequestBits[]> {
    const at = first >> 3;
    const [settled, repeats, handedOff] = await Promise.all(
      [keys.settledBits(id), keys.repeatBits(id), keys.handedOffBits(id)].map((key) =>
        redis.getrangeBuffer(key, at, (first + count - 1) >> 3),
      ),
    );
    return Array.from({ length: count }, (_, i) => {
      const bit = first + i - at * 8;
      return {
        isSettled: isSet(settled, bit),
        isRepeat: isSet(repeats, bit),
        isHandedOff: isSet(handedOff, bit),
      };
    });
  },

  /** One bit for each request that repeats another, in Redis's bit order; empty when none does. */
  repeatBits: async (id: string): Promise<Buffer> => (await redis.getBuffer(keys.repeatBits(id))) ?? Buffer.alloc(0),

  /** One bit for each request that is handed off, in Redis's bit order; empty when none is. */
  handedOffBits: async (id: string): Promise<Buffer> =>
    (await redis.getBuffer(keys.handedOffBits(id))) ?? Buffer.alloc(0),

  /** How many requests from `dispatched` on have a result. Some have one when Redis has lost a later cursor. */
  async settledBeyond(id: string, dispatched: number): Promise<number> {
    return redis.bitcount(keys.settledBits(id), dispatched, -1, 'BIT');
  },

  /** The last marked place in the input before the request `index`, or the start of the input. */
  async placeBefore(id: string, index: number): Promise<InputPlace> {
    const marks = await redis.lrange(keys.marks(id), 0, -1);
    return marks.map(readMark).findLast((mark) => mark.index <= index) ?? { index: 0, offset: 0, line: 1 };
  },
});

export type DispatchedRequests = ReturnType<typeof createDispatchedRequests>;
