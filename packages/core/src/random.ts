/** Returns the next number of a sequence, in [0, 1). */
export type Random = () => number;

/**
 * A sequence that its seed decides: the same whole number gives the same numbers. Mulberry32.
 * Source: https://github.com/bryc/code/blob/master/jshash/PRNGs.md#mulberry32
 */
export const createRandom = (seed: number): Random => {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
};
