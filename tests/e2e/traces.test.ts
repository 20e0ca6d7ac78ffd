import { randomBytes } from 'node:crypto';
import { afterAll, beforeAll, expect, inject, it } from 'vitest';
import { createBatch, inputOf, untilBatch } from '../support/batches.ts';
import { type Stack, startStack } from '../support/stack.ts';
import { type ReceivedSpan, startTraceReceiver, type TraceReceiver } from '../support/trace-receiver.ts';

let receiver: TraceReceiver;
let stack: Stack;

beforeAll(async () => {
  receiver = await startTraceReceiver();
  stack = await startStack({
    redisUrl: inject('redisUrl'),
    env: {
      OTEL_EXPORTER_OTLP_ENDPOINT: receiver.url,
      OTEL_EXPORTER_OTLP_HEADERS: 'x-team=mill',
      // A process that waited for this before it ends would be ended with 1.
      OTEL_EXPORTER_OTLP_TIMEOUT: '60000',
      PROMPTMILL_GRACE_MS: '1000',
    },
    files: { 'promptmill.yaml': 'retry: { attempts: 3, baseDelayMs: 1, maxDelayMs: 2 }\n' },
  });
});
afterAll(async () => {
  await stack.stop();
  await receiver.close();
});

/** A caller's span, and the header that names it. */
const newCaller = (flags = '01') => {
  const [traceId, spanId] = [randomBytes(16).toString('hex'), randomBytes(8).toString('hex')];
  return { traceId, spanId, headers: { traceparent: `00-${traceId}-${spanId}-${flags}` } };
};

const chat = (content: string) => ({ model: 'simulator/echo', messages: [{ role: 'user' as const, content }] });

const inTrace = (traceId: string): ReceivedSpan[] => receiver.spans.filter((span) => span.traceId === traceId);
const named = (spans: readonly ReceivedSpan[], name: string): ReceivedSpan[] =>
  spans.filter((span) => span.name === name);

/** Waits until the trace has this many spans of each name. */
const untilTraced = async (traceId: string, counts: Readonly<Record<string, number>>): Promise<ReceivedSpan[]> => {
  const count = () =>
    Object.fromEntries(Object.keys(counts).map((name) => [name, named(inTrace(traceId), name).length]));
  await expect.poll(count).toEqual(counts);
  return inTrace(traceId);
};

/** A word that no span has. */
const canary = 'CONTENTOFAPROMPT';

const hasContent = (): boolean => receiver.bodies.some((body) => body.includes(canary));

it('a batch is one trace under its caller, with a span for each dispatch, attempt, segment and its finalizing', async () => {
  const caller = newCaller();
  const failsOnce = (index: number): string => `${canary} ${index === 1 ? '[[sim:status=503;times=1]]' : ''}`;
  const before = Date.now();
  const { id } = await createBatch(
    stack.client.withOptions({ defaultHeaders: caller.headers }),
    inputOf(3, failsOnce),
    { metadata: { note: canary } },
  );
  await untilBatch(stack.client, id);
  const collected = (): number =>
    named(inTrace(caller.traceId), 'collect').reduce(
      (sum, { attributes }) => sum + Number(attributes['promptmill.requests']),
      0,
    );
  await expect.poll(collected).toBe(3);
  const spans = await untilTraced(caller.traceId, { batch: 1, dispatch: 1, 'chat echo': 4, finalize: 1 });

  const [whole] = named(spans, 'batch');
  expect(whole).toMatchObject({
    service: 'promptmill-api',
    parentSpanId: caller.spanId,
    hasFailed: false,
    attributes: { 'promptmill.batch.id': id, 'promptmill.batch.status': 'completed', 'promptmill.requests': 3 },
  });
  expect(whole?.startMs).toBeGreaterThanOrEqual(before);
  const steps = spans.filter(({ name }) => name !== 'batch');
  expect(new Set(steps.map(({ parentSpanId }) => parentSpanId))).toEqual(new Set([whole?.spanId]));
  expect(Math.min(...steps.map(({ startMs }) => startMs))).toBeGreaterThanOrEqual(whole?.startMs ?? Infinity);
  expect(Math.min(...spans.map(({ startMs, endMs }) => endMs - startMs))).toBeGreaterThanOrEqual(0);
  expect(new Set(spans.map(({ spanId }) => spanId)).size).toBe(spans.length);
  expect(new Set(spans.map(({ service }) => service))).toEqual(
    new Set(['promptmill-api', 'promptmill-worker', 'promptmill-collector']),
  );

  const attempts = named(spans, 'chat echo');
  expect(attempts.filter(({ hasFailed }) => hasFailed)).toMatchObject([
    {
      kind: 3,
      attributes: {
        'error.type': 'provider_overloaded',
        'http.response.status_code': 503,
        'promptmill.request.index': 1,
      },
    },
  ]);
  expect(attempts.find(({ hasFailed }) => !hasFailed)).toMatchObject({
    kind: 3,
    attributes: {
      'gen_ai.operation.name': 'chat',
      'gen_ai.provider.name': 'simulator',
      'gen_ai.request.model': 'echo',
      'gen_ai.response.model': 'echo',
      'gen_ai.response.finish_reasons': ['stop'],
      'gen_ai.usage.input_tokens': expect.any(Number),
      'gen_ai.usage.output_tokens': expect.any(Number),
      'server.address': '127.0.0.1',
      'promptmill.batch.id': id,
    },
  });
  expect(receiver.headers.every((sent) => sent['x-team'] === 'mill')).toBe(true);
  expect(hasContent()).toBe(false);
});

it('a batch that is never dispatched is a trace as well', async () => {
  const caller = newCaller();
  const { id } = await createBatch(
    stack.client.withOptions({ defaultHeaders: caller.headers }),
    inputOf(1, undefined, 'nobody/knows'),
  );
  expect((await untilBatch(stack.client, id)).status).toBe('failed');
  expect(await untilTraced(caller.traceId, { batch: 1 })).toMatchObject([
    { name: 'batch', hasFailed: true, attributes: { 'error.type': 'failed', 'promptmill.batch.id': id } },
  ]);
});

it('a live call is a trace too', async () => {
  const caller = newCaller();
  const { data, response } = await stack.client.chat.completions
    .create(chat(canary), { headers: caller.headers })
    .withResponse();
  expect(response.status).toBe(200);
  expect(data.choices[0]?.message.content).toContain(canary);
  const spans = await untilTraced(caller.traceId, { 'POST /v1/chat/completions': 1, 'chat echo': 1 });
  const [whole] = named(spans, 'POST /v1/chat/completions');
  expect(whole).toMatchObject({
    kind: 2,
    parentSpanId: caller.spanId,
    attributes: { 'http.response.status_code': 200, 'gen_ai.request.model': 'simulator/echo' },
  });
  expect(named(spans, 'chat echo')).toMatchObject([{ parentSpanId: whole?.spanId }]);
  expect(hasContent()).toBe(false);
});

it('a caller decides whether its trace is sampled; a header that is none begins a trace', async () => {
  const quiet = newCaller('00');
  await stack.client.chat.completions.create(chat('Quiet'), { headers: quiet.headers });
  const invalid = `00-${'0'.repeat(32)}-${'1'.repeat(16)}-01`;
  await stack.client.chat.completions.create(chat('Loud'), { headers: { traceparent: invalid } });
  const roots = () => receiver.spans.filter(({ kind, parentSpanId }) => kind === 2 && parentSpanId === '');
  await expect.poll(() => roots().length).toBe(1);
  expect(inTrace(quiet.traceId)).toEqual([]);
});

it('a collector of traces that hangs or refuses holds up nothing, and no process as it stops', async () => {
  for (const mode of ['refuse', 'hang'] as const) {
    receiver.setMode(mode);
    const sent = receiver.headers.length;
    const { id } = await createBatch(stack.client, inputOf(3));
    expect((await untilBatch(stack.client, id)).request_counts).toMatchObject({ completed: 3 });
    await stack.client.chat.completions.create(chat('Hi'));
    await expect.poll(() => receiver.headers.length).toBeGreaterThan(sent);
  }
  // What they have not sent by now holds up their end for 3 s at most.
  const ends = [stack.api, ...stack.workers, ...stack.collectors].map((role) => role.stop());
  expect(await Promise.all(ends)).toEqual([0, 0, 0]);
});
