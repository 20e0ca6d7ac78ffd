import type { Endpoint } from './endpoints.ts';
import type { RequestBody } from './request-line.ts';

/** Where a request may go instead of waiting for its lane. */
export interface RequestFallback {
  /** Models, as a request names them, in order. */
  readonly models: readonly string[];
  /** The time, in Unix milliseconds, from which it does not wait even for an open lane. */
  readonly deadlineNearMs: number;
}

/** How often a provider has refused a request with 401, 402 or 403. */
export interface RequestRefusals {
  readonly calls: number;
  /** Of those, the first, and each before which the lane worked for others: these are the request's own fault. */
  readonly own: number;
  /** When the last one was, by Redis's clock, in milliseconds. */
  readonly lastAtMs: number;
}

/** What the BullMQ job of one request carries. */
export interface RequestJob {
  readonly tenant: string;
  readonly batchId: string;
  /** 0-based position of the request in its batch. */
  readonly index: number;
  readonly customId: string;
  readonly url: Endpoint;
  /** The body to send. Its `model` is the provider's own name for the model. */
  readonly body: RequestBody;
  /** Size of its input line in bytes, which counts in its batch's window. */
  readonly bytes: number;
  readonly fallback?: RequestFallback;
  /** The model that it named, as `provider/model`, when a fallback has taken over. */
  readonly fallbackFrom?: string;
  /** How many calls have begun for it since a worker died with it. */
  readonly begun?: number;
  readonly refusals?: RequestRefusals;
}

/** A source of calls, as a lane knows it: a batch, by its tenant and its id. */
export const sourceOf = ({ tenant, batchId }: Pick<RequestJob, 'tenant' | 'batchId'>): string => `${tenant}/${batchId}`;
