/** The results of a batch that are copies of other requests' results. */
export interface BatchCopies {
  /** How many there are so far. */
  readonly made: number;
  /** How many requests get one instead of a call. 0 until that is known. */
  readonly expected: number;
  /** What their calls would have cost, as far as it is known, in billionths of a dollar. */
  readonly savedNanoUsd: number;
  /** How many of those calls have an unknown cost. */
  readonly unpriced: number;
}

export const noCopies: BatchCopies = { made: 0, expected: 0, savedNanoUsd: 0, unpriced: 0 };
