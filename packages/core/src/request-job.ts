import type { Endpoint } from './endpoints.ts';
import type { LiveCall } from './live-call.ts';
import type { RequestBody } from './request-line.ts';

/** Where a request may go instead of waiting for its lane. */
export interface RequestFallback {
  /** Models, as a request names them, in order. */
  readonly models: readonly string[];
  /** The time, in Unix milliseconds, from which it does not wait even for an open lane. */
  readonly deadlineNearMs: number;
  /**
   * How long its lane must have been closed before the request goes, in milliseconds. Default 0: it goes from a closed lane
   * at once.
   */
  readonly patienceMs?: number;
  /** The time, in Unix milliseconds, from which even a call that is under way is given up for it. Absent: none is. */
  readonly giveUpAtMs?: number;
}

/** How often a provider has refused a request with 401, 402 or 403. */
export interface RequestRefusals {
  readonly calls: number;
  /** Of those, the first, and each before which the lane worked for others: these are the request's own fault. */
  readonly own: number;
  /** When the last one was, by Redis's clock, in milliseconds. */
  readonly lastAtMs: number;
}

/** An answer that does not match its request's schema, after which the provider is asked again. */
export interface MismatchedAnswer {
  readonly statusCode: number;
  readonly requestId: string;
  /** The answer's JSON, on one line. */
  readonly json: string;
  /** The text in it that does not match. */
  readonly text: string;
  /** What is wrong with the text. */
  readonly faults: readonly string[];
  /** What the answer cost, in billionths of a dollar. Absent when that is unknown. */
  readonly nanoUsd?: number | undefined;
}

/** What the BullMQ job of one request carries. */
export interface RequestJob {
  readonly tenant: string;
  /** The batch it is of. A live call is of none and has an id of its own here. */
  readonly batchId: string;
  /** 0-based position of the request in its batch; 0 for a live call. */
  readonly index: number;
  readonly customId: string;
  readonly url: Endpoint;
  /** The body to send. Its `model` is the provider's own name for the model. */
  readonly body: RequestBody;
  /** Size of its input line in bytes, which counts in its batch's window. */
  readonly bytes: number;
  /** Set for a live call. */
  readonly live?: LiveCall;
  /** Names the trace of its attempts, and in it the span of its batch or live call. Absent: they are not traced. */
  readonly traceparent?: string;
  readonly fallback?: RequestFallback;
  /** The model that it named, as `provider/model`, when a fallback has taken over. */
  readonly fallbackFrom?: string;
  /** Set when it has left its flex lane. */
  readonly tierFrom?: 'flex';
  /** How many calls have begun for it since a worker died with it. */
  readonly begun?: number;
  readonly refusals?: RequestRefusals;
  /** Deployments of its lane at which it has failed. It comes to one again only while all others are held. */
  readonly avoid?: readonly string[];
  /** Whether its answer has to match the schema that its body names. */
  readonly checkSchema?: true;
  /** Its first answer, when that did not match: the next call tells the model so. */
  readonly mismatch?: MismatchedAnswer;
}

/**
 * Whose call it is, where a lane asks whether the fault is the request's or the provider's. A batch is a source, and so are
 * all live calls of a tenant together.
 */
export const sourceOf = ({ tenant, batchId, live }: Pick<RequestJob, 'tenant' | 'batchId' | 'live'>): string =>
  `${tenant}/${live ? 'live' : batchId}`;
