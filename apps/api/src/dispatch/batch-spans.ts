import { type Batch, tracedRequests } from '@promptmill/core';
import type { Tracing } from '@promptmill/runtime';
import type { DispatchedChunk } from './dispatch-requests.ts';

/** Sends the span of a chunk of requests that was dispatched. */
export const traceDispatch = (
  tracing: Pick<Tracing, 'step'>,
  { batch, first, requests, startedAtMs }: DispatchedChunk,
): void => {
  if (!batch.trace || first >= tracedRequests) return;
  const attributes = { 'promptmill.batch.id': batch.id, 'promptmill.requests': requests };
  tracing.step(batch.trace.traceparent, { name: 'dispatch', startedAtMs, endedAtMs: Date.now(), attributes });
};

/** Sends the span of a batch that has ended. */
export const traceEnd = (tracing: Pick<Tracing, 'end'>, batch: Batch, endedAtMs: number): void => {
  const { trace, id, tenant, model, status, total, completed, failed, usage } = batch;
  if (!trace) return;
  tracing.end(trace, {
    name: 'batch',
    endedAtMs,
    error: status === 'failed' || status === 'expired' ? status : undefined,
    attributes: {
      'promptmill.batch.id': id,
      'promptmill.tenant': tenant,
      'promptmill.batch.status': status,
      'promptmill.requests': total,
      'promptmill.requests.completed': completed,
      'promptmill.requests.failed': failed,
      'gen_ai.request.model': model,
      'gen_ai.usage.input_tokens': usage.inputTokens,
      'gen_ai.usage.output_tokens': usage.outputTokens,
    },
  });
};
