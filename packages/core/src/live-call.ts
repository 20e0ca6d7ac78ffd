/** What makes a request a live call: somebody waits for its answer on a connection. */
export interface LiveCall {
  /** The api process that waits for the answer; empty when none does. */
  readonly api: string;
  /** Until when its caller waits, in Unix milliseconds. No attempt begins after that. */
  readonly deadlineMs: number;
  /**
   * Whether its answer is kept. Such a call goes on when nobody waits for it any more. Any other is made only for a
   * caller who still waits.
   */
  readonly isKept: boolean;
}

/** The start of an answer to a live call. */
export interface LiveAnswerHead {
  readonly statusCode: number;
  /** The provider's `x-request-id`; empty when it sends none. */
  readonly requestId: string;
  /** Other headers of the provider that are of use to a caller. */
  readonly headers: Readonly<Record<string, string>>;
  /** How long the call to the provider has taken so far, in milliseconds. */
  readonly callMs: number;
  /** How long the provider asks its callers to wait, in milliseconds. */
  readonly retryAfterMs?: number;
  /** The model that was called in place of the one that was named, as `provider/model`. */
  readonly fallbackModel?: string;
}

/** Why a live call has no answer of a provider. */
export interface LiveError {
  readonly code: string;
  readonly message: string;
}

/** How a live call ended, or how an attempt failed after which it goes on. The body is JSON; a stream's end has none. */
export type LiveAnswer =
  | { readonly kind: 'response'; readonly head: LiveAnswerHead; readonly body: string }
  | ({ readonly kind: 'error' } & LiveError);
