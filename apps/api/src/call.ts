import type { Request, Response } from 'express';
import type { Audited } from './access/audit.ts';
import type { Caller } from './access/caller.ts';

/** A JSON body that has been read. */
interface ReceivedBody {
  /** How long its text is. */
  readonly bytes: number;
  /** About what it takes in memory: many short values take more than their text. */
  readonly heapBytes: number;
  /** Says that it is needed no longer, though its request goes on: another large body may be read. */
  release(): void;
}

/** A request to the API whose caller is known and whose parameters have been checked. */
export interface Call<Params = unknown, Query = unknown, Body = unknown> {
  /** The owner of the API key it came with. */
  readonly tenant: string;
  /** Fires when that key is revoked or expires, to end an event stream. */
  readonly keyEnded: AbortSignal;
  readonly params: Params;
  readonly query: Query;
  readonly body: Body;
  readonly request: Request;
  readonly response: Response;
}

declare global {
  namespace Express {
    interface Locals {
      requestId: string;
      /** Absent before the caller is known. */
      tenant?: string;
      caller?: Caller;
      audited?: Audited;
      /** Whether who reads the metrics may read what tenants spend. */
      seesSpending?: boolean;
      /** Absent where the route takes no JSON body, or there is none. */
      body?: ReceivedBody;
      /** Names the trace of a live call. Absent: it is not traced. */
      traceparent?: string;
      /** Whether the status is a provider's, which says nothing about this api. */
      isProvidersAnswer?: true;
      /** The `code` of the error that was answered. */
      errorCode?: string | null;
      /** The path of the route that answers, with placeholders; absent when none does. */
      route?: string;
    }
  }
}
