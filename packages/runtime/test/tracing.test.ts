import { afterAll, beforeAll, expect, it } from 'vitest';
import { startTraceReceiver, type TraceReceiver } from '../../../tests/support/trace-receiver.ts';
import { createLogger, noTracing, openTracing, type TracingConfig } from '../src/index.ts';

let receiver: TraceReceiver;
beforeAll(async () => {
  receiver = await startTraceReceiver();
});
afterAll(() => receiver.close());

const logger = createLogger({ level: 'silent', role: 'test' });
const open = (more: Partial<TracingConfig> = {}) =>
  openTracing({
    config: { endpoint: receiver.url, sampler: 'parentbased_always_on', ratio: 1, ...more },
    service: 'promptmill-test',
    logger,
  });

const [traceId, spanId] = ['0af7651916cd43dd8448eb211c80319c', 'b7ad6b7169203331'];
const caller = (flags: '00' | '01'): string => `00-${traceId}-${spanId}-${flags}`;

it('is off without an endpoint', async () => {
  expect(await openTracing({ config: undefined, service: 'promptmill-test', logger })).toBe(noTracing);
  expect(noTracing.begin(caller('01'))).toBeUndefined();
});

it('sends the span of a whole that began before this process, and of its steps, with values cut short', async () => {
  const tracing = await open();
  const trace = tracing.begin(caller('01'));
  if (!trace) throw new Error('it is sampled');
  const [startedAtMs, endedAtMs] = [1_700_000_000_000, 1_700_000_060_000];
  tracing.step(trace.traceparent, {
    name: 'n'.repeat(1000),
    kind: 'client',
    startedAtMs,
    endedAtMs,
    attributes: { model: 'm'.repeat(1000), none: undefined },
    error: 'timeout',
  });
  tracing.end({ ...trace, startedAtMs }, { name: 'whole', endedAtMs, attributes: { requests: 3 } });
  await tracing.close();
  const [step, whole] = receiver.spans;
  expect(whole).toMatchObject({
    service: 'promptmill-test',
    traceId,
    parentSpanId: spanId,
    name: 'whole',
    startMs: startedAtMs,
    endMs: endedAtMs,
    attributes: { requests: 3 },
    hasFailed: false,
  });
  expect(trace.traceparent).toBe(`00-${traceId}-${whole?.spanId}-01`);
  expect(step).toMatchObject({
    traceId,
    parentSpanId: whole?.spanId,
    name: 'n'.repeat(256),
    startMs: startedAtMs,
    endMs: endedAtMs,
    attributes: { model: 'm'.repeat(256), 'error.type': 'timeout' },
    hasFailed: true,
  });
  expect(step?.spanId).not.toBe(whole?.spanId);
});

it.each([
  { sampler: 'parentbased_always_on', ratio: 1, sampled: [true, false, true] },
  { sampler: 'parentbased_always_off', ratio: 1, sampled: [true, false, false] },
  { sampler: 'parentbased_traceidratio', ratio: 0, sampled: [true, false, false] },
  { sampler: 'always_on', ratio: 0, sampled: [true, true, true] },
  { sampler: 'always_off', ratio: 1, sampled: [false, false, false] },
  { sampler: 'traceidratio', ratio: 0, sampled: [false, false, false] },
  { sampler: 'traceidratio', ratio: 1, sampled: [true, true, true] },
] as const)('$sampler with $ratio decides for a caller who samples, one who does not, and none', async (row) => {
  const { sampler, ratio, sampled } = row;
  const tracing = await open({ sampler, ratio });
  const begun = [caller('01'), caller('00'), undefined].map((traceparent) => tracing.begin(traceparent));
  expect(begun.map((trace) => trace !== undefined)).toEqual(sampled);
  await tracing.close();
});

it.each([
  '',
  'x',
  `00-${'0'.repeat(32)}-${spanId}-01`,
  `ff-${traceId}-${spanId}-01`,
  `${caller('01')}, ${caller('01')}`,
])('the header %j begins a trace of its own', async (header) => {
  const tracing = await open();
  const trace = tracing.begin(header);
  expect(trace?.traceparent).toMatch(/^00-[0-9a-f]{32}-[0-9a-f]{16}-01$/);
  expect(trace?.traceparent).not.toContain(traceId);
  expect(trace).not.toHaveProperty('callerSpanId');
  await tracing.close();
});
