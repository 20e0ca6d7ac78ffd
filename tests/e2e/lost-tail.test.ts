import { createKeys } from '@promptmill/queue';
import type OpenAI from 'openai';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { checkBatch, createBatch, inputOf, untilBatch } from '../support/batches.ts';
import { type DurableRedis, startDurableRedis } from '../support/local-redis.ts';
import { type Stack, startStack } from '../support/stack.ts';
import { inLongForm } from '../support/long-form.ts';

const concurrency = 20;
const workers = 2;
const lostBytes = 64 * 1024;
/** The least that a request adds to the append-only file: it is added, begun, recorded, ended. */
const bytesPerRequest = 600;

let redis: DurableRedis;
let stack: Stack;

beforeAll(async () => {
  redis = await startDurableRedis();
  stack = await startStack({
    redisUrl: redis.url,
    workers,
    env: { WORKER_CONCURRENCY: String(concurrency), SIMULATOR_LATENCY_MS: '20' },
    files: {
      'promptmill.yaml': 'providers: { simulator: { models: { echo: { prices: { input: 1, output: 2 } } } } }',
    },
  });
});
afterAll(async () => {
  await stack.stop();
  await redis.stop();
});

/** What a batch has spent is what its output says that it used, at the configured price. */
const checkCost = (batch: OpenAI.Batches.Batch, output = ''): void => {
  const { promptmill } = batch as unknown as { promptmill: { cost: { spent: number } } };
  const lines = output.split('\n').filter(Boolean);
  const usages = lines.map(
    (line) => (JSON.parse(line) as { response: { body: OpenAI.ChatCompletion } }).response.body.usage,
  );
  const nanoUsd = usages.reduce(
    (sum, usage) => sum + 1000 * (usage?.prompt_tokens ?? 0) + 2000 * (usage?.completion_tokens ?? 0),
    0,
  );
  expect(nanoUsd).toBeGreaterThan(0);
  expect(promptmill.cost.spent).toBe(nanoUsd / 1e9);
};

it('a Redis that lost its latest writes loses no request', async () => {
  const input = inputOf(3000);
  const { id } = await createBatch(stack.client, input);
  await untilBatch(stack.client, id, ({ request_counts: counts }) => (counts?.completed ?? 0) > 700);
  await redis.kill();
  await redis.cutTail(lostBytes);
  await redis.restart();
  const client = stack.client.withOptions({ maxRetries: 10 });
  const batch = await untilBatch(client, id);
  expect(batch.status).toBe('completed');
  const allowedRepeats = lostBytes / bytesPerRequest + workers * concurrency;
  const { output } = await checkBatch(stack, batch, input, { allowedRepeats });
  checkCost(batch, output);
});

it('an input and a batch that were acknowledged just before a power cut are there', async () => {
  const input = inputOf(20);
  const { id } = await createBatch(stack.client, input);
  await redis.kill();
  await redis.cutTail(lostBytes);
  await redis.restart();
  // The api writes the records again when it has reconnected.
  const client = stack.client.withOptions({ maxRetries: 10 });
  await expect.poll(async () => (await client.batches.retrieve(id).catch(() => undefined))?.id).toBe(id);
  const batch = await untilBatch(client, id);
  await checkBatch(stack, batch, input, { allowedRepeats: 20 });
});

it('a cancel, a pause and a resume that were acknowledged just before a power cut still count', async () => {
  // More requests than are answered before the cancel is known again.
  const input = inputOf(60, (i) => `Say ${i} [[sim:latency=1000]]`);
  const client = stack.client.withOptions({ maxRetries: 10 });
  const create = async (): Promise<string> => (await createBatch(client, input)).id;
  const [cancelled, paused, resumed] = [await create(), await create(), await create()];
  const ask = (id: string, what: 'pause' | 'resume') => client.post(`/batches/${id}/${what}`);
  await ask(paused, 'pause');
  await ask(resumed, 'pause');
  await ask(resumed, 'resume');
  await client.batches.cancel(cancelled);
  await redis.kill();
  await redis.cutTail(lostBytes);
  await redis.restart();
  expect(await untilBatch(client, cancelled)).toMatchObject({ status: 'cancelled' });
  expect(await untilBatch(client, resumed)).toMatchObject({ status: 'completed' });
  expect(await client.batches.retrieve(paused)).toMatchObject({ promptmill: { paused_at: expect.any(Number) } });
  await ask(paused, 'resume');
  for (const id of [cancelled, paused, resumed])
    await checkBatch(stack, await untilBatch(client, id), input, { allowedRepeats: workers * concurrency });
});

it.runIf(inLongForm)(
  'a script that was cut off half way, and is back at the next start, leaves no wrong count or bit',
  async () => {
    const input = inputOf(3000);
    const { id } = await createBatch(stack.client, input);
    const client = stack.client.withOptions({ maxRetries: 10 });
    const untilMore = async (count: number): Promise<void> => {
      const { request_counts: before } = await client.batches.retrieve(id);
      await untilBatch(
        client,
        id,
        ({ request_counts: now }) => (now?.completed ?? 0) > (before?.completed ?? 0) + count,
      );
    };
    await untilMore(300);
    await redis.kill();
    // The cut is within the effects of recording a result: its bit and its count are there, the result is not.
    const stream = createKeys(stack.prefix).results;
    await redis.cutAfter(`XADD\r\n$${stream.length}\r\n${stream}`);
    await redis.restart();
    await untilMore(50);
    await redis.kill();
    await redis.restart();
    const batch = await untilBatch(client, id);
    const { output } = await checkBatch(stack, batch, input, { allowedRepeats: 2 * workers * concurrency });
    checkCost(batch, output);
  },
);
