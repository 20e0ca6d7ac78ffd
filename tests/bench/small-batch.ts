/**
 * Measures how long a batch of one prompt takes beyond its provider's latency: alone, and beside a large batch in the
 * same lane. The wait for a slot is counted apart.
 *
 *   node tests/bench/small-batch.ts [--batches 100] [--beside 20000] [--latency-ms 50]
 */
import { setTimeout as delay } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { createKeys, openLaneQueue } from '@promptmill/queue';
import { Redis } from 'ioredis';
import { createBatch, inputOf, untilBatch } from '../support/batches.ts';
import { quantile } from '../support/quantile.ts';
import { startMeasuredStack } from './measured-stack.ts';

const { values } = parseArgs({
  options: {
    batches: { type: 'string', default: '100' },
    beside: { type: 'string', default: '20000' },
    'latency-ms': { type: 'string', default: '50' },
  },
});
const latencyMs = Number(values['latency-ms']);

const stack = await startMeasuredStack({
  workers: 2,
  collectors: 2,
  env: { SIMULATOR_LATENCY_MS: String(latencyMs), LOG_LEVEL: 'warn' },
});
const redis = new Redis(stack.redis.url, { maxRetriesPerRequest: null });
const lane = openLaneQueue(redis, createKeys(stack.prefix), 'simulator');

const measure = async (name: string): Promise<void> => {
  const beyondMs: number[] = [];
  const waitsMs: number[] = [];
  const file = await stack.client.files.create({
    file: new File([inputOf(1)], 'one.jsonl'),
    purpose: 'batch',
  });
  for (let i = 0; i < Number(values.batches); i++) {
    const startedAt = performance.now();
    const { id } = await stack.client.batches.create({
      input_file_id: file.id,
      endpoint: '/v1/chat/completions',
      completion_window: '24h',
    });
    // Often enough that what is measured is the batch, and not the time between two questions.
    while ((await stack.client.batches.retrieve(id)).status !== 'completed') await delay(5);
    const tookMs = performance.now() - startedAt;
    const job = await lane.getJob(`${id}-0`);
    const waitMs = (job?.processedOn ?? Number.NaN) - (job?.timestamp ?? Number.NaN);
    waitsMs.push(waitMs);
    beyondMs.push(tookMs - latencyMs - waitMs);
  }
  const show = (list: number[]) => `p50 ${Math.round(quantile(list, 0.5))} p95 ${Math.round(quantile(list, 0.95))}`;
  console.log(`${name}: beyond latency and wait, ms: ${show(beyondMs)}; wait for a slot, ms: ${show(waitsMs)}`);
};

try {
  await measure('idle');
  const large = await createBatch(stack.client, inputOf(Number(values.beside)));
  await untilBatch(stack.client, large.id, ({ status }) => status === 'in_progress');
  await measure(`beside a batch of ${values.beside}`);
  const after = await stack.client.batches.retrieve(large.id);
  console.log(`the large batch meanwhile: ${after.status} ${JSON.stringify(after.request_counts)}`);
} finally {
  await lane.close();
  await redis.quit();
  await stack.stop();
}
