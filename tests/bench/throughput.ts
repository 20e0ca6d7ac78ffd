/**
 * Runs one batch through all of Promptmill, as separate processes. Prints the wall time over the ideal and what each
 * process cost, and checks the history.
 *
 *   node tests/bench/throughput.ts [--requests 20000] [--latency-ms 50] [--concurrency 50] [--workers 2] [--collectors 2]
 */
import { parseArgs } from 'node:util';
import { checkBatch, createBatch, inputOf, untilBatch } from '../support/batches.ts';
import { startMeasuredStack } from './measured-stack.ts';

const { values } = parseArgs({
  options: {
    requests: { type: 'string', default: '20000' },
    'latency-ms': { type: 'string', default: '50' },
    concurrency: { type: 'string', default: '50' },
    workers: { type: 'string', default: '2' },
    collectors: { type: 'string', default: '2' },
  },
});
const requests = Number(values.requests);
const latencyMs = Number(values['latency-ms']);
const concurrency = Number(values.concurrency);
const workers = Number(values.workers);

const stack = await startMeasuredStack({
  workers,
  collectors: Number(values.collectors),
  env: {
    WORKER_CONCURRENCY: String(concurrency),
    SIMULATOR_LATENCY_MS: String(latencyMs),
    LOG_LEVEL: 'warn',
  },
});
try {
  const input = inputOf(requests);
  const before = await stack.costs();
  const startedAt = performance.now();
  const created = await createBatch(stack.client, input);
  const batch = await untilBatch(stack.client, created.id, undefined, 3_600_000);
  const seconds = (performance.now() - startedAt) / 1000;
  const after = await stack.costs();
  await stack.simulator.stop();
  await checkBatch(stack, batch, input);
  const calls = await stack.calls();
  const idealSeconds = (Math.ceil(requests / (concurrency * workers)) * latencyMs) / 1000;
  console.log(
    JSON.stringify({
      requests,
      latencyMs,
      inFlight: concurrency * workers,
      seconds: Number(seconds.toFixed(2)),
      idealSeconds,
      overIdeal: Number((seconds / idealSeconds).toFixed(3)),
      perSecond: Math.round(requests / seconds),
      calls: calls.length,
      counts: batch.request_counts,
    }),
  );
  const rows = Object.entries(after).map(([name, { peakMiB, cpuSeconds }]) => {
    const cpuMicros = ((cpuSeconds - (before[name]?.cpuSeconds ?? 0)) / requests) * 1e6;
    return [name, { peakMiB, 'cpu µs per request': Math.round(cpuMicros) }] as const;
  });
  console.table(Object.fromEntries(rows));
} finally {
  await stack.stop();
}
