const codes = ['no_lane', 'input_changed', 'torn_segment', 'results_missing'] as const;

/** What keeps a batch's requests from being dispatched until someone acts. */
type DispatchBlockedCode = (typeof codes)[number];

/** Thrown where a batch's requests cannot be dispatched. The message is for the batch's owner. */
export class DispatchBlockedError extends Error {
  override readonly name = 'DispatchBlockedError';
  readonly code: DispatchBlockedCode;

  constructor(code: DispatchBlockedCode, message: string) {
    super(`${message} The batch goes on by itself once the cause is gone.`);
    this.code = code;
  }
}

export const isDispatchBlockedCode = (code: string): code is DispatchBlockedCode =>
  (codes as readonly string[]).includes(code);
