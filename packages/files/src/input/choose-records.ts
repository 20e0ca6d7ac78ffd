import { createRandom } from '@promptmill/core';
import type { InputRecord } from './input-record.ts';

/** What becomes of the next record that could be a request. */
export type Choose = () => 'take' | 'skip' | 'stop';

export const isBlank = (record: InputRecord): boolean => record.kind === 'text' && record.text.trim() === '';

export const takeAll: Choose = () => 'take';

export const takeFirst = (limit: number): Choose => {
  let taken = 0;
  return () => (++taken > limit ? 'stop' : 'take');
};

export interface SampleOptions {
  readonly size: number;
  readonly seed: number;
  /** How many records there are. */
  readonly total: number;
}

/** Takes each set of `size` records with the same probability (Knuth's selection sampling). */
export const takeSample = ({ size, seed, total }: SampleOptions): Choose => {
  const random = createRandom(seed);
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
