import type { CallUsage } from '@promptmill/core';
import type { FailureClass, FailureCode } from './classify-answer.ts';

export interface CallSuccess {
  readonly kind: 'success';
  readonly statusCode: number;
  /** The provider's `x-request-id`; empty when it sends none. */
  readonly requestId: string;
  /** The answer's JSON, on one line. */
  readonly json: string;
  readonly usage: CallUsage;
  /** The tier that the answer says it was made and is billed in. Absent: it does not say. */
  readonly serviceTier?: string;
  /** Headers that are of use to a caller. */
  readonly headers: Readonly<Record<string, string>>;
}

export interface CallFailure {
  readonly kind: 'failure';
  readonly class: FailureClass;
  readonly code: FailureCode;
  /** For people. The provider's key is redacted. */
  readonly message: string;
  /** What the operating system said of a lost connection, with addresses. For the log only. */
  readonly detail?: string;
  /** The provider's error answer, with the key redacted. Absent when no answer came, or a 2xx of the wrong shape. */
  readonly response?: { readonly statusCode: number; readonly requestId: string; readonly body: unknown };
  /** The answer, where one came that is not what was asked for. */
  readonly answer?: Pick<CallSuccess, 'statusCode' | 'requestId' | 'json'>;
  /** The text of that answer that does not match its schema, and what is wrong with it. */
  readonly mismatch?: { readonly text: string; readonly faults: readonly string[] };
  /** What the call used, where the provider says so although it failed. */
  readonly usage?: CallUsage;
  /** How long the provider asks its callers to wait, in milliseconds. */
  readonly retryAfterMs?: number;
}

/** The models that a provider offers. */
export interface ModelList {
  readonly kind: 'models';
  readonly names: readonly string[];
}

/**
 * What a neutral look says of the key. `accepted`: the list of models is there for this key, and not for everybody.
 * `refused`: with this key it is not, and the failure says why. `unclear`: everybody gets it, or it gave no answer.
 */
export type Look =
  | { readonly verdict: 'accepted' | 'unclear' }
  | { readonly verdict: 'refused'; readonly failure: CallFailure };

/**
 * How one attempt ended. `aborted`: the caller's signal fired before the whole answer had come. `unsent`: `maySend`
 * returned false, and the provider never saw the call.
 */
export type CallResult = CallSuccess | CallFailure | { readonly kind: 'aborted' } | { readonly kind: 'unsent' };

/** How a call for several requests ended. A success has the answer of each, in their order, and how long the whole was. */
export type EmbedResult =
  | { readonly kind: 'success'; readonly answers: readonly CallSuccess[]; readonly characters: number }
  | Exclude<CallResult, CallSuccess>;
