import type { Endpoint } from './endpoints.ts';
import type { RequestBody } from './request-line.ts';

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
}
