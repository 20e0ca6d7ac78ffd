/**
 * Runs an input of which 40 % repeats itself, without `dedupe` and with it, and prints calls, seconds and the api's peak
 * memory. It fails when a question was called twice with `dedupe`, or a result is missing.
 *
 *   node tests/bench/dedupe.ts [--requests 20000] [--latency-ms 20]
 */
import { parseArgs } from 'node:util';
import { checkBatch, createBatch, untilBatch } from '../support/batches.ts';
import { repeatedInput } from '../support/repeated-input.ts';
import { startMeasuredStack } from './measured-stack.ts';

const { values } = parseArgs({
  options: {
    requests: { type: 'string', default: '20000' },
    'latency-ms': { type: 'string', default: '20' },
  },
});
const requests = Number(values.requests);
const timeoutMs = 1_800_000;

const { content, questions } = repeatedInput(requests);
const rows: string[] = [];
for (const dedupe of [false, true]) {
  // Each has a stack of its own, whose peak of memory it is.
  const stack = await startMeasuredStack({
    workers: 2,
    collectors: 2,
    env: { SIMULATOR_LATENCY_MS: values['latency-ms'], LOG_LEVEL: 'warn' },
  });
  try {
    const startedAt = performance.now();
    const { id } = await createBatch(stack.client, content, { promptmill: { dedupe } });
    const batch = await untilBatch(stack.client, id, undefined, timeoutMs);
    const seconds = (performance.now() - startedAt) / 1000;
    await checkBatch(stack, batch, content);
    const calls = (await stack.calls()).length;
    const expected = dedupe ? questions : requests;
    if (calls !== expected) throw new Error(`${calls} calls, where ${expected} were expected`);
    const { peakMiB } = (await stack.costs())['api 1'] ?? {};
    rows.push(`| ${dedupe ? 'with' : 'without'} | ${calls} | ${seconds.toFixed(1)} | ${peakMiB} |`);
  } finally {
    await stack.stop();
  }
}

console.log(`${requests} requests, ${questions} different questions`);
console.log('| dedupe | calls | seconds | api, peak MiB |');
console.log('| --- | ---: | ---: | ---: |');
for (const row of rows) console.log(row);
