import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type OpenAI from 'openai';
import { afterAll, beforeAll, describe, expect, inject, it } from 'vitest';
import { checkBatch, createBatch, inputOf, untilBatch } from '../support/batches.ts';
import { extensionOf, inputOfRandomLengths, pricedConfig, spentAtProvider, waitsForMoney } from '../support/costs.ts';
import { type Stack, startStack } from '../support/stack.ts';
import { inLongForm } from '../support/long-form.ts';

const workers = 3;
const callsInFlight = 200;
const count = 3000;
/** About a third of what the whole batch costs. */
const maxCost = 6.5;

let stack: Stack;

beforeAll(async () => {
  stack = await startStack({
    redisUrl: inject('redisUrl'),
    workers,
    env: {
      WORKER_CONCURRENCY: String(callsInFlight),
      SIMULATOR_LATENCY_MS: '300',
      SIMULATOR_LATENCY_SIGMA: '0.5',
    },
    files: { 'promptmill.yaml': pricedConfig() },
  });
});
afterAll(() => stack.stop());

const capped = (usd: number) => ({ promptmill: { max_cost: usd } });
const resume = (id: string, body?: object) =>
  stack.client.post<OpenAI.Batches.Batch>(`/batches/${id}/resume`, { body });
const refusal = (answer: Promise<unknown>): Promise<InstanceType<typeof OpenAI.APIError>> =>
  answer.then(
    () => expect.fail('it was not refused'),
    (error: InstanceType<typeof OpenAI.APIError>) => error,
  );

describe('a batch with max_cost, at 200 calls in flight on each of 3 workers', () => {
  const input = inputOfRandomLengths(count);
  let id: string;

  it('pauses when the money is used up, also after a worker was killed', async () => {
    ({ id } = await createBatch(stack.client, input, capped(maxCost)));
    await untilBatch(stack.client, id, ({ request_counts: counts }) => (counts?.completed ?? 0) > 300);
    await stack.workers[0]?.stop('SIGKILL');
    const batch = await untilBatch(stack.client, id, waitsForMoney);
    const { max_cost: max, paused_at: pausedAt, waiting_for: waitingFor, cost } = extensionOf(batch);
    expect(batch.status).toBe('in_progress');
    expect({ max, waitingFor }).toMatchObject({
      max: maxCost,
      waitingFor: [
        {
          lane: 'cost_limit',
          reason: expect.stringContaining('of its max_cost of 6.5 USD') as string,
          held_until: null,
        },
      ],
    });
    expect(pausedAt).not.toBeNull();

    const { usd, dearest } = await spentAtProvider(stack);
    const counted = (cost.spent ?? Number.NaN) + (cost.wasted ?? Number.NaN);
    // What the killed worker had in flight was paid for, and nobody could count it.
    expect(usd).toBeLessThan(counted + callsInFlight * dearest);
    // Far less than what 400 calls in flight may cost.
    expect(counted).toBeLessThan(maxCost * 1.05);
    expect(counted).toBeGreaterThan(maxCost * 0.95);
  });

  it('makes no call while it waits, and says how it goes on', async () => {
    const { answers } = await spentAtProvider(stack);
    expect(await refusal(resume(id))).toMatchObject({ status: 409, code: 'cost_limit' });
    expect(await refusal(resume(id, { max_cost: 1 }))).toMatchObject({ status: 400, code: 'max_cost_too_low' });
    expect((await spentAtProvider(stack)).answers).toBe(answers);
  });

  it('goes on with more money, and ends', async () => {
    await resume(id, { max_cost: 100 });
    const batch = await untilBatch(stack.client, id);
    expect(batch.status).toBe('completed');
    await checkBatch(stack, batch, input, { allowedRepeats: callsInFlight });
  });
});

it.runIf(inLongForm)('a batch that has reached its max_cost can be cancelled, and keeps its answers', async () => {
  const { id } = await createBatch(stack.client, inputOfRandomLengths(200, 7), capped(0.05));
  const { request_counts: counts } = await untilBatch(stack.client, id, waitsForMoney);
  await stack.client.batches.cancel(id);
  const batch = await untilBatch(stack.client, id);
  expect(batch).toMatchObject({ status: 'cancelled', request_counts: { completed: counts?.completed } });
  expect(counts?.completed).toBeGreaterThan(0);
});

it('a model without a known price is refused, with what to do', async () => {
  const input = inputOf(1, () => 'Hi', 'simulator/small');
  const error = await refusal(createBatch(stack.client, input, capped(1)));
  expect(error).toMatchObject({ status: 400, code: 'price_unknown', param: 'promptmill.max_cost' });
  expect(error.message).toContain('simulator: { models: { "small": { prices:');
});

it('a tenant’s limit of a day holds batches and refuses live calls until it is raised', async () => {
  const usage = await stack.client.get<{ data: { cost: { spent: number; wasted: number } }[] }>('/usage?by=day');
  const spent = usage.data.reduce((sum, { cost }) => sum + cost.spent + cost.wasted, 0);
  const limitTo = (usdPerDay: number) =>
    writeFile(join(stack.directory, 'promptmill.yaml'), pricedConfig({ tenants: { default: { usdPerDay } } }));
  const call = () =>
    stack.client.chat.completions.create({ model: 'simulator/echo', messages: [{ role: 'user', content: 'Hi' }] });
  await limitTo(spent);
  await expect
    .poll(() => call().catch((error: unknown) => error), { timeout: 20_000 })
    .toMatchObject({ status: 429, code: 'insufficient_quota', type: 'insufficient_quota' });

  const { id } = await createBatch(stack.client, inputOfRandomLengths(300, 3));
  const held = await untilBatch(stack.client, id, waitsForMoney);
  expect(held.request_counts).toMatchObject({ completed: 0, failed: 0 });
  const [wait] = extensionOf(held).waiting_for;
  expect(wait?.reason).toContain('You have reached your limit usdPerDay');
  expect((wait?.held_until ?? 0) % 86_400).toBe(0);

  await limitTo(spent + 1);
  const heldAgain = await untilBatch(
    stack.client,
    id,
    (batch) => waitsForMoney(batch) && batch.usage?.input_tokens !== 0,
  );
  const { cost } = extensionOf(heldAgain);
  expect(cost.spent).toBeGreaterThan(0.8);
  expect(cost.spent).toBeLessThan(1.2);

  await limitTo(spent + 100);
  expect((await untilBatch(stack.client, id)).status).toBe('completed');
  expect((await call()).usage?.total_tokens).toBeGreaterThan(0);
});
