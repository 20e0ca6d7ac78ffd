import { tracedRequests } from '@promptmill/core';
import type { BatchStore } from '@promptmill/queue';
import type { EndedSpan, Tracing } from '@promptmill/runtime';
import type { WrittenSegment } from './collect-results.ts';

export interface BatchSpansOptions {
  readonly batches: Pick<BatchStore, 'get'>;
  readonly tracing: Pick<Tracing, 'isOn' | 'step'>;
  readonly onError: (error: unknown) => void;
}

/** Sends the spans of a collector's steps. Each looks up the trace of its batch, which nothing waits for. */
export const createBatchSpans = ({ batches, tracing, onError }: BatchSpansOptions) => {
  const send = (batchId: string, span: Omit<EndedSpan, 'endedAtMs'>): void => {
    if (!tracing.isOn) return;
    const endedAtMs = Date.now();
    const attributes = { 'promptmill.batch.id': batchId, ...span.attributes };
    const look = async (): Promise<void> => {
      const trace = (await batches.get(batchId))?.trace;
      if (trace) tracing.step(trace.traceparent, { ...span, endedAtMs, attributes });
    };
    look().catch(onError);
  };
  return {
    collected({ batchId, results, first, startedAtMs }: WrittenSegment): void {
      if (first < tracedRequests)
        send(batchId, { name: 'collect', startedAtMs, attributes: { 'promptmill.requests': results } });
    },
    finalized: (batchId: string, startedAtMs: number): void =>
      send(batchId, { name: 'finalize', startedAtMs, attributes: {} }),
  };
};
