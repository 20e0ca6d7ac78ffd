/**
 * Runs what the hand-written scripts do: 100 and 1,000 requests of 3 s each, with 1 to 50 in flight. Prints a table of
 * the time taken over the ideal, which is ⌈requests ∕ in flight⌉ latencies. Rows that would take longer than
 * `--longest-s` run with a shorter latency, which the table says.
 *
 *   node tests/bench/seeds.ts [--latency-ms 3000] [--longest-s 300] [--workers 1] [--requests 100,1000]
 *                             [--in-flight 1,10,20,50]
 */
import { parseArgs } from 'node:util';
import { createBatch, inputOf, untilBatch } from '../support/batches.ts';
import { startMeasuredStack } from './measured-stack.ts';

const { values } = parseArgs({
  options: {
    'latency-ms': { type: 'string', default: '3000' },
    'longest-s': { type: 'string', default: '300' },
    workers: { type: 'string', default: '1' },
    requests: { type: 'string', default: '100,1000' },
    'in-flight': { type: 'string', default: '1,10,20,50' },
  },
});
const latencyMs = Number(values['latency-ms']);
const longestMs = Number(values['longest-s']) * 1000;

/** One row, on a stack of its own that has run one prompt before. */
const measure = async (requests: number, inFlight: number): Promise<string> => {
  const rounds = Math.ceil(requests / inFlight);
  const usedLatencyMs = Math.min(latencyMs, Math.floor(longestMs / rounds));
  const stack = await startMeasuredStack({
    workers: Number(values.workers),
    env: { LOG_LEVEL: 'warn', SIMULATOR_LATENCY_MS: String(usedLatencyMs) },
    files: { 'promptmill.yaml': JSON.stringify({ providers: { simulator: { concurrency: inFlight } } }) },
  });
  try {
    await untilBatch(stack.client, (await createBatch(stack.client, inputOf(1))).id);
    const startedAt = performance.now();
    const { id } = await createBatch(stack.client, inputOf(requests));
    const batch = await untilBatch(stack.client, id, undefined, 600_000);
    const seconds = (performance.now() - startedAt) / 1000;
    if (batch.request_counts?.completed !== requests) throw new Error(`not all completed: ${JSON.stringify(batch)}`);
    const idealSeconds = (rounds * usedLatencyMs) / 1000;
    const latency = `${usedLatencyMs / 1000} s${usedLatencyMs === latencyMs ? '' : ' (scaled)'}`;
    const overIdeal = (seconds / idealSeconds).toFixed(3);
    return `| ${requests} | ${inFlight} | ${latency} | ${idealSeconds.toFixed(1)} s | ${seconds.toFixed(1)} s | ${overIdeal} |`;
  } finally {
    await stack.stop();
  }
};

console.log('| requests | in flight | latency | ideal | measured | over ideal |');
console.log('| ---: | ---: | ---: | ---: | ---: | ---: |');
const numbers = (list: string): number[] => list.split(',').map(Number);
for (const requests of numbers(values.requests))
  for (const inFlight of numbers(values['in-flight'])) console.log(await measure(requests, inFlight));
