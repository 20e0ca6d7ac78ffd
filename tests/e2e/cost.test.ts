import type OpenAI from 'openai';
import { afterAll, beforeAll, expect, inject, it } from 'vitest';
import { checkBatch, createBatch, inputOf, untilBatch } from '../support/batches.ts';
import { type Stack, startStack } from '../support/stack.ts';

type Batch = OpenAI.Batches.Batch;
interface Cost {
  readonly spent: number;
  readonly wasted: number;
}
interface Estimate {
  readonly input_tokens: number;
  readonly cost: { readonly low: number; readonly expected: number; readonly high: number };
}

const configFile = 'providers: { simulator: { models: { echo: { prices: { input: 2.5, output: 10 } } } } }';
const sentences = [
  'The river was higher than anyone in the village could remember. ',
  'Summarize the following report in one short paragraph, please. ',
  'What follows from the second law of thermodynamics for engines? ',
];
/** Plain prompts of one to twenty sentences. */
const promptOf = (i: number): string => `${i}: ${(sentences[i % 3] ?? '').repeat(1 + ((i * 7) % 20))}`;

let stack: Stack;
let priced: Batch;
const input = inputOf(200, promptOf);

const costOf = (batch: Batch): Cost => (batch as unknown as { promptmill: { cost: Cost } }).promptmill.cost;

beforeAll(async () => {
  stack = await startStack({ redisUrl: inject('redisUrl'), files: { 'promptmill.yaml': configFile } });
  const { id } = await createBatch(stack.client, input);
  priced = await untilBatch(stack.client, id);
});
afterAll(() => stack.stop());

it('a batch costs what the provider counted, at the configured price', async () => {
  await checkBatch(stack, priced, input);
  const { input_tokens: inputTokens = 0, output_tokens: outputTokens = 0 } = priced.usage ?? {};
  const tokens = (await stack.calls()).reduce((sum, call) => sum + call.tokens, 0);
  expect(inputTokens + outputTokens).toBe(tokens);
  const spent = (2500 * inputTokens + 10_000 * outputTokens) / 1e9;
  expect(costOf(priced)).toEqual({ currency: 'USD', estimated: null, spent, wasted: 0, saved_by_cache: 0 });
  const output = await (await stack.client.files.content(priced.output_file_id ?? '')).text();
  const costs = output
    .trimEnd()
    .split('\n')
    .map((line) => (JSON.parse(line) as { promptmill: { cost_usd: number } }).promptmill.cost_usd);
  expect(costs.reduce((sum, cost) => sum + cost)).toBeCloseTo(spent, 12);
  const day = new Date((priced.completed_at ?? 0) * 1000).toISOString().slice(0, 10);
  const usage = await stack.client.get<{ data: unknown[] }>(`/usage?from=${day}&by=model`);
  expect(usage.data).toMatchObject([{ model: 'simulator/echo', answers: 200, cost: { currency: 'USD', spent } }]);
  const metrics = await (await fetch(`${stack.workers[0]?.url}/metrics`)).text();
  expect(metrics).toMatch(
    /^promptmill_answers_total\{tenant="local",model="simulator\/echo",kind="priced",role="worker"\} 200$/m,
  );
  const seen = /^promptmill_spent_usd_total\{.*kind="result".*\} (.*)$/m.exec(metrics)?.[1];
  expect(Number(seen)).toBeCloseTo(spent, 9);
});

it('with 200 known answers an estimate is within 10 % of the bill', async () => {
  const next = inputOf(300, (i) => promptOf(i + 1000));
  const prompts = next
    .split('\n')
    .filter(Boolean)
    .map((line) => (JSON.parse(line) as { body: { messages: { content: string }[] } }).body.messages[0]?.content);
  const body = { model: 'simulator/echo', prompts };
  const { cost, input_tokens: inputTokens } = await stack.client.post<Estimate>('/batches/estimate', { body });
  const { id } = await createBatch(stack.client, next);
  const batch = await untilBatch(stack.client, id);
  const { spent } = costOf(batch);
  expect(Math.abs(cost.expected / spent - 1)).toBeLessThan(0.1);
  expect(Math.abs(inputTokens / (batch.usage?.input_tokens ?? 0) - 1)).toBeLessThan(0.1);
  expect([cost.low <= spent, spent <= cost.high]).toEqual([true, true]);
});
