import type { BatchUsage } from '@promptmill/core';
import type { FailureClass, FailureCode } from './classify-answer.ts';

export interface CallSuccess {
  readonly kind: 'success';
  readonly statusCode: number;
  /** The provider's `x-request-id`; empty when it sends none. */
  readonly requestId: string;
  /** The answer as it came, on one line. */
  readonly json: string;
  readonly usage: BatchUsage;
}

export interface CallFailure {
  readonly kind: 'failure';
  readonly class: FailureClass;
  readonly code: FailureCode;
  /** For people. The provider's key is redacted. */
  readonly message: string;
  /** The provider's error answer, its key redacted. Absent when there was no answer, or a 2xx that is none. */
  readonly response?: { readonly statusCode: number; readonly requestId: string; readonly body: unknown };
  /** How long the provider asks to be left alone, in milliseconds. */
  readonly retryAfterMs?: number;
}

/** What a provider offers. */
export interface ModelList {
  readonly kind: 'models';
  readonly names: readonly string[];
}

/**
 * How one attempt ended; `aborted`: the caller's signal fired before an answer was there; `unsent`: `maySend` said no, and
 * the provider knows nothing of it.
 */
export type CallResult = CallSuccess | CallFailure | { readonly kind: 'aborted' } | { readonly kind: 'unsent' };
