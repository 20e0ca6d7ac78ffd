import type { Endpoint } from './endpoints.ts';
import type { RequestBody } from './request-line.ts';

export interface RequestFallback {
  /** Models, as a request names them, in order. */
  readonly models: readonly string[];
  /** From when on, in Unix milliseconds, it waits no more even for a lane that is open. */
  readonly deadlineNearMs: number;
}

/** What the BullMQ job of one request carries. */
export interface RequestJob {
  readonly batchId: string;
  /** 0-based position of the request in its batch. */
  readonly index: number;
  readonly customId: string;
  readonly url: Endpoint;
  /** The body to send; `model` is already the provider's own name for it. */
  readonly body: RequestBody;
  /** Size of its input line; what it takes of its batch's window. */
  readonly bytes: number;
  /** Where it may go rather than wait for its lane. */
  readonly fallback?: RequestFallback;
  /** Whose place its model has taken, as `provider/model`. */
  readonly fallbackFrom?: string;
  /** Calls begun for it since a worker was lost with it. */
  readonly begun?: number;
}
