/**
 * A piece of an answer's text while it is being written, for screens. Pieces may get lost, and no result depends on them:
 * `offset` shows a gap, and an attempt that begins anew.
 */
export interface Delta {
  readonly custom_id: string;
  /** Of the choice; of the output item, in `/v1/responses`. */
  readonly index: number;
  /** Where in its text it begins, in UTF-16 code units. */
  readonly offset: number;
  readonly delta: string;
  /** The request's answer is complete. */
  readonly done?: true;
}
