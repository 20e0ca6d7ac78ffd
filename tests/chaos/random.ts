import { createRandom as createNumbers } from '@promptmill/core';

/** A sequence of numbers that its seed decides. */
export interface Random {
  /** In [0, 1). */
  next(): number;
  /** A whole number from `min` to `max`, both included. */
  between(min: number, max: number): number;
  pick<T>(items: readonly T[]): T;
  shuffle<T>(items: readonly T[]): T[];
  /** A new sequence. What is drawn from it does not change what this one gives next. */
  fork(): Random;
}

export const createRandom = (seed: number): Random => {
  const next = createNumbers(seed);
  const between = (min: number, max: number): number => min + Math.floor(next() * (max - min + 1));
  return {
    next,
    between,
    pick(items) {
      if (items.length === 0) throw new RangeError('nothing to pick from');
      return items[between(0, items.length - 1)]!;
    },
    shuffle(items) {
      const left = [...items];
      return items.map(() => left.splice(between(0, left.length - 1), 1)[0]!);
    },
    fork: () => createRandom(Math.floor(next() * 2 ** 32)),
  };
};
