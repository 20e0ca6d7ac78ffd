import type { Endpoint } from '@promptmill/core';
import type { Tracing } from '@promptmill/runtime';
import type { Call } from '../call.ts';

/** Begins the trace of a live call, whose span is sent when its connection has got the answer, or is gone. */
export const traceCall = (
  tracing: Pick<Tracing, 'begin' | 'end'>,
  url: Endpoint,
  { tenant, request, response }: Pick<Call, 'tenant' | 'request' | 'response'>,
  model: string,
): void => {
  const trace = tracing.begin(request.header('traceparent'));
  if (!trace) return;
  response.locals.traceparent = trace.traceparent;
  response.once('close', () => {
    const { statusCode, writableFinished } = response;
    tracing.end(trace, {
      name: `POST ${url}`,
      kind: 'server',
      endedAtMs: Date.now(),
      error: writableFinished ? (statusCode >= 500 ? String(statusCode) : undefined) : 'hung_up',
      attributes: {
        'http.request.method': 'POST',
        'http.route': url,
        'http.response.status_code': writableFinished ? statusCode : undefined,
        'gen_ai.request.model': model,
        'promptmill.tenant': tenant,
      },
    });
  });
};
