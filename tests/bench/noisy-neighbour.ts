/**
 * Measures what one tenant's flood costs another. Every few seconds the other uploads a file of 20 prompts, makes a
 * batch of it and waits for its end: first alone, then while the first tenant floods the api with uploads, listings,
 * large bodies, poison requests, small batches, event streams and guesses of keys.
 *
 *   node tests/bench/noisy-neighbour.ts [--batches 12] [--every-ms 5000] [--without 'large bodies'] …
 *
 * It exits with 1 when the other's p95 is more than twice that of its quiet time, or when it got a 5xx.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import OpenAI from 'openai';
import { createBatch, inputOf, untilBatch } from '../support/batches.ts';
import { quantile } from '../support/quantile.ts';
import { startMeasuredStack } from './measured-stack.ts';

const { values } = parseArgs({
  options: {
    batches: { type: 'string', default: '12' },
    'every-ms': { type: 'string', default: '5000' },
    /** Kinds of the flood that are left out, to find the one that costs most. */
    without: { type: 'string', multiple: true, default: [] },
  },
});
const batches = Number(values.batches);
const everyMs = Number(values['every-ms']);
const longestMs = 60_000;
const worstRatio = 2;
const keys = { noisy: 'key-of-the-noisy-one', quiet: 'key-of-the-quiet-one' };

const stack = await startMeasuredStack({
  workers: 2,
  collectors: 2,
  env: {
    PROMPTMILL_API_KEYS: `noisy:${keys.noisy},quiet:${keys.quiet}`,
    SIMULATOR_LATENCY_MS: '100',
    LOG_LEVEL: 'warn',
  },
});

/** Every answer that the quiet tenant got, by its status. */
const statuses: Record<string, number> = {};
const client = new OpenAI({
  baseURL: `${stack.api.url}/v1`,
  apiKey: keys.quiet,
  maxRetries: 0,
  fetch: async (input, init) => {
    const answer = await fetch(input, init).catch(() => undefined);
    const status = String(answer?.status ?? 'no answer');
    statuses[status] = (statuses[status] ?? 0) + 1;
    return answer ?? new Response('', { status: 599 });
  },
});
const input = inputOf(20);

/** How long one batch took. One that fails, or has not ended in time, counts as the longest time. */
const runBatch = async (): Promise<number> => {
  const startedAt = performance.now();
  try {
    const { id } = await createBatch(client, input);
    const batch = await untilBatch(client, id, undefined, longestMs);
    if (batch.request_counts?.completed !== 20) throw new Error(`the batch is ${JSON.stringify(batch)}`);
    return performance.now() - startedAt;
  } catch (error) {
    console.log(`  a batch failed: ${String(error).slice(0, 160)}`);
    return longestMs;
  }
};

const measure = async (name: string): Promise<{ p95: number; failures: number }> => {
  for (const status of Object.keys(statuses)) delete statuses[status];
  const running: Promise<number>[] = [];
  for (let i = 0; i < batches; i++) {
    running.push(runBatch());
    await delay(everyMs);
  }
  const tookMs = await Promise.all(running);
  const [p50, p95] = [quantile(tookMs, 0.5), quantile(tookMs, 0.95)];
  console.log(`${name}: p50 ${Math.round(p50)} ms, p95 ${Math.round(p95)} ms; answers ${JSON.stringify(statuses)}`);
  const failed = Object.entries(statuses).filter(([status]) => !/^[234]/.test(status));
  return { p95, failures: failed.reduce((sum, [, count]) => sum + count, 0) };
};

try {
  await runBatch();
  const quiet = await measure('quiet');
  const flood = spawn(process.execPath, [
    fileURLToPath(new URL('./flood.ts', import.meta.url)),
    stack.api.url,
    keys.noisy,
    ...values.without,
  ]);
  let said = '';
  flood.stdout.on('data', (data) => (said += String(data)));
  flood.stderr.pipe(process.stderr);
  await delay(everyMs);
  const noisy = await measure('in the flood');
  const ended = once(flood, 'close');
  flood.kill('SIGTERM');
  await ended;
  for (const [kind, counts] of Object.entries(JSON.parse(said) as object))
    console.log(`  ${kind}: ${JSON.stringify(counts)}`);
  const ratio = noisy.p95 / quiet.p95;
  console.log(
    `p95 in the flood: ${ratio.toFixed(2)} × quiet (at most ${worstRatio}); 5xx or no answer: ${noisy.failures}`,
  );
  if (ratio > worstRatio || noisy.failures > 0) process.exitCode = 1;
} finally {
  await stack.stop();
}
