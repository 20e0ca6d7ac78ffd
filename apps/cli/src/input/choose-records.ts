import type { InputRecord } from './input-record.ts';

/** What becomes of the next record that could be a request. */
export type Choose = () => 'take' | 'skip' | 'stop';

export const isBlank = (record: InputRecord): boolean => record.kind === 'text' && record.text.trim() === '';

export const takeAll: Choose = () => 'take';

export const takeFirst = (limit: number): Choose => {
  let taken = 0;
  return () => (++taken > limit ? 'stop' : 'take');
};

/** Numbers in [0, 1) that the seed decides. Mulberry32. Source: https://github.com/bryc/code/blob/master/jshash/PRNGs.md */
const randomNumbers = (seed: number): (() => number) => {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
};

export interface SampleOptions {
  readonly size: number;
  readonly seed: number;
  /** How many records there are. */
  readonly total: number;
}

/** Takes each set of `size` records with the same probability (Knuth's selection sampling). */
export const takeSample = ({ size, seed, total }: SampleOptions): Choose => {
  const random = randomNumbers(seed);
  let wanted = size;
  let left = total;
  return () => {
    if (wanted === 0) return 'stop';
    if (random() * left-- >= wanted) return 'skip';
    wanted--;
    return 'take';
  };
};

export const countRecords = async (blocks: AsyncIterable<readonly InputRecord[]>): Promise<number> => {
  let count = 0;
  for await (const records of blocks) count += records.filter((record) => !isBlank(record)).length;
  return count;
};
