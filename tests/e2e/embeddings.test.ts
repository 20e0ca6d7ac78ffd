import { afterAll, beforeAll, expect, inject, it } from 'vitest';
import { createBatch, untilBatch } from '../support/batches.ts';
import { inLongForm } from '../support/long-form.ts';
import { type Stack, startStack } from '../support/stack.ts';

interface Line {
  readonly custom_id: string;
  readonly response: {
    readonly status_code: number;
    readonly body: {
      readonly data?: { readonly index: number; readonly embedding: number[] }[];
      readonly usage?: { readonly prompt_tokens: number };
    };
  };
}

const configFile = `
providers:
  simulator:
    embeddingsPerCall: 2048
    models: { embed: { prices: { input: 0.02 } }, alone: { embeddingsPerCall: 1, prices: { input: 0.02 } } }
`;
const count = 1500;
const bad = 700;
const textOf = (i: number): string =>
  i === bad ? `${i} [[sim:status=400]]` : `Line ${i} of the mill's log${'.'.repeat(i % 40)}`;
const inputOf = (model: string): string =>
  Array.from({ length: count }, (_, i) => {
    const body = { model: `simulator/${model}`, input: textOf(i) };
    return `${JSON.stringify({ custom_id: `line-${i}`, method: 'POST', url: '/v1/embeddings', body })}\n`;
  }).join('');

const good = Array.from({ length: count }, (_, i) => i).filter((i) => i !== bad);

let stack: Stack;

const linesOf = async (file: string | null | undefined): Promise<Line[]> =>
  (await (await stack.client.files.content(file ?? '')).text())
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line) as Line);

const runBatch = async (model: string) => {
  const before = (await stack.calls()).length;
  const { id } = await createBatch(stack.client, inputOf(model), { endpoint: '/v1/embeddings' });
  const batch = await untilBatch(stack.client, id);
  const calls = (await stack.calls()).slice(before);
  return { batch, calls, output: await linesOf(batch.output_file_id), errors: await linesOf(batch.error_file_id) };
};

/** The answers do not name the model that made them, so those of two models are compared by what each text gives alone. */
const embeddingsOf = async (model: string, texts: readonly string[]): Promise<number[][]> => {
  const answer = await fetch(`${stack.simulator.url}/v1/embeddings`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ model, input: texts }),
  });
  const { data } = (await answer.json()) as { data: { embedding: number[] }[] };
  return data.map(({ embedding }) => embedding);
};

beforeAll(async () => {
  stack = await startStack({ redisUrl: inject('redisUrl'), files: { 'promptmill.yaml': configFile } });
});
afterAll(() => stack.stop());

it('embeddings share calls, with the answers and tokens of single calls; a bad line fails alone', async () => {
  const alone = await runBatch('alone');
  const together = await runBatch('embed');
  for (const { batch, output, errors } of [alone, together]) {
    expect(batch.request_counts).toEqual({ total: count, completed: count - 1, failed: 1 });
    expect(output.map((line) => line.custom_id)).toEqual(good.map((i) => `line-${i}`));
    expect(errors.map((line) => [line.custom_id, line.response.status_code])).toEqual([[`line-${bad}`, 400]]);
  }
  const embeddings = await embeddingsOf('embed', good.map(textOf));
  expect(together.output.map(({ response: { body } }) => body.data)).toEqual(
    embeddings.map((embedding) => [{ object: 'embedding', index: 0, embedding }]),
  );
  expect(together.batch.usage).toEqual(alone.batch.usage);
  const tokens = together.output.map(({ response: { body } }) => body.usage?.prompt_tokens ?? 0);
  expect(tokens.reduce((sum, share) => sum + share)).toBe(alone.batch.usage?.input_tokens);
  expect(alone.calls).toHaveLength(count);
  // The lane's width begins at 50 and doubles; the bad line costs two calls for each time its group is halved.
  expect(together.calls.length).toBeLessThan(60);
});

it.runIf(inLongForm)('after a worker is killed each line has one result, in order', { timeout: 60_000 }, async () => {
  await stack.control({ latency: { kind: 'fixed', ms: 400 } });
  const before = (await stack.calls()).length;
  const { id } = await createBatch(stack.client, inputOf('embed'), { endpoint: '/v1/embeddings' });
  await untilBatch(stack.client, id, ({ request_counts: counts }) => (counts?.completed ?? 0) > 100);
  await stack.workers[0]?.stop('SIGKILL');
  await stack.start('worker');
  const batch = await untilBatch(stack.client, id);
  expect(batch.request_counts).toEqual({ total: count, completed: count - 1, failed: 1 });
  const output = await linesOf(batch.output_file_id);
  expect(output.map((line) => line.custom_id)).toEqual(good.map((i) => `line-${i}`));
  const calls = (await stack.calls()).slice(before);
  expect(calls.length).toBeLessThan(120);
  // What was called again was in flight at the kill: no line more than twice.
  const tokens = calls.reduce((sum, call) => sum + call.tokens, 0);
  expect(tokens).toBeLessThanOrEqual(2 * (batch.usage?.input_tokens ?? 0));
});
