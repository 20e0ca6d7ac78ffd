/**
 * A piece of an answer's text, sent while the provider writes it, for screens. A piece may get lost, and no result
 * depends on it. A jump of `offset` shows a gap, and a return to 0 a new attempt.
 */
export interface Delta {
  readonly custom_id: string;
  /** The number of the choice, or in `/v1/responses` of the output item. */
  readonly index: number;
  /** Where the piece begins in that text, in UTF-16 code units. */
  readonly offset: number;
  readonly delta: string;
  /** Set once the request's answer is complete. */
  readonly done?: true;
}
