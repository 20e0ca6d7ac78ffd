/** The trace of a batch or of a live call. One that is not sampled has none. */
export interface Trace {
  /** Names the trace, and in it the span of the whole. Source: https://www.w3.org/TR/trace-context/#traceparent-header */
  readonly traceparent: string;
  /** The caller's span, under which the span of the whole is. Absent: the trace begins with the latter. */
  readonly callerSpanId?: string;
  /** Unix milliseconds. */
  readonly startedAtMs: number;
}

/**
 * How many requests of a batch have spans of their dispatch, attempts and collecting. A trace of millions of spans is one
 * that no store of traces takes.
 */
export const tracedRequests = 10_000;
