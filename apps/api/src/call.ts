import type { Request, Response } from 'express';

/** A request to the API whose caller is known and whose parameters have been checked. */
export interface Call<Params = unknown, Query = unknown, Body = unknown> {
  /** The owner of the API key it came with. */
  readonly tenant: string;
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
      /** The path of the route that answers, with placeholders; absent when none does. */
      route?: string;
    }
  }
}
