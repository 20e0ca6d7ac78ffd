import { closeRedis, connectRedis, createKeys, type RedisConnection } from '@promptmill/queue';
import type { Batch } from 'openai/resources/batches';
import { afterAll, beforeAll, describe, expect, inject, it } from 'vitest';
import { checkBatch, createBatch, untilBatch } from '../support/batches.ts';
import { firstOf, repeatedInput } from '../support/repeated-input.ts';
import { type Stack, startStack } from '../support/stack.ts';

interface Note {
  readonly copied_from?: string;
  readonly copied_from_batch?: string;
  readonly cost_usd?: number;
  readonly saved_usd?: number;
}

interface ResultLine {
  readonly custom_id: string;
  readonly response?: { readonly body: { readonly usage: { readonly completion_tokens: number } } };
  readonly promptmill?: Note;
}

interface Extension {
  readonly copied: number;
  readonly cost: { readonly spent: number | null; readonly saved_by_cache: number | null };
}

const parse = (content: string | undefined): ResultLine[] =>
  (content ?? '')
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line) as ResultLine);

const extensionOf = (batch: Batch): Extension => (batch as unknown as { promptmill: Extension }).promptmill;
const sum = (values: readonly (number | undefined)[]): number =>
  values.reduce<number>((all, value) => all + (value ?? 0), 0);

describe('a batch whose requests may get copies', () => {
  let stack: Stack;
  let redis: RedisConnection;

  beforeAll(async () => {
    redis = connectRedis({ url: inject('redisUrl'), whileAway: 'wait', onError: () => {} });
    stack = await startStack({
      redisUrl: inject('redisUrl'),
      env: { WORKER_CONCURRENCY: '50', SIMULATOR_LATENCY_MS: '20' },
      files: {
        'promptmill.yaml': 'providers: { simulator: { models: { echo: { prices: { input: 2.5, output: 10 } } } } }',
      },
    });
  });
  afterAll(async () => {
    await closeRedis(redis);
    await stack.stop();
  });

  const start = (content: string, promptmill: object) => createBatch(stack.client, content, { promptmill });
  const callsOf = async ({ id }: Batch): Promise<number> =>
    (await stack.calls()).filter(({ key }) => key?.startsWith(id)).length;

  it('calls 1,200 times for 2,000 requests of which 40 % repeat others, and each has its answer in its place', async () => {
    const { content, questions } = repeatedInput(2000);
    const batch = await untilBatch(stack.client, (await start(content, { dedupe: true })).id);
    expect(questions).toBe(1200);
    expect(await callsOf(batch)).toBe(1200);
    expect(batch.request_counts).toEqual({ total: 2000, completed: 2000, failed: 0 });

    const { output } = await checkBatch(stack, batch, content);
    const lines = parse(output);
    for (const [index, { custom_id: id, promptmill: note }] of lines.entries()) {
      const first = firstOf(index);
      expect([id, note?.copied_from]).toEqual([`request-${index}`, first === index ? undefined : `request-${first}`]);
    }
    const { copied, cost } = extensionOf(batch);
    expect(copied).toBe(800);
    expect(cost.spent).toBeCloseTo(sum(lines.map(({ promptmill: note }) => note?.cost_usd)), 9);
    expect(cost.saved_by_cache).toBeCloseTo(sum(lines.map(({ promptmill: note }) => note?.saved_usd)), 9);
    expect(cost.saved_by_cache).toBeGreaterThan(0);
    // The tokens of a copy were used once.
    const called = lines.filter(({ promptmill: note }) => note?.copied_from === undefined);
    const tokens = called.map(({ response }) => response?.body.usage.completion_tokens);
    expect(batch.usage?.output_tokens).toBe(sum(tokens));
  });

  it('calls each time without the option', async () => {
    const { content } = repeatedInput(50);
    const batch = await untilBatch(stack.client, (await createBatch(stack.client, content)).id);
    expect(await callsOf(batch)).toBe(50);
    expect(extensionOf(batch)).toMatchObject({ copied: 0, cost: { saved_by_cache: 0 } });
    await checkBatch(stack, batch, content);
  });

  it('copies the error of a first that failed, and a retry asks it again once', async () => {
    const { content } = repeatedInput(10, (index) => (index === 0 ? '[[sim:status=400]] no' : `Say ${index}`));
    const batch = await untilBatch(stack.client, (await start(content, { dedupe: true })).id);
    expect(await callsOf(batch)).toBe(6);
    const { errors } = await checkBatch(stack, batch, content);
    expect(parse(errors).map(({ custom_id: id, promptmill: note }) => [id, note?.copied_from])).toEqual([
      ['request-0', undefined],
      ['request-3', 'request-0'],
      ['request-4', 'request-0'],
      ['request-9', 'request-0'],
    ]);
    const again = await stack.client.post<Batch>(`/batches/${batch.id}/retry`);
    const retried = await untilBatch(stack.client, again.id);
    expect(retried.request_counts).toEqual({ total: 4, completed: 0, failed: 4 });
    expect(await callsOf(retried)).toBe(1);
  });

  it('cancelled half way ends with a line for each request, and keeps what was paid for', async () => {
    const { content } = repeatedInput(2000, (index) => `Wait ${index}`);
    const { id } = await start(content, { dedupe: true });
    await untilBatch(stack.client, id, ({ request_counts: counts }) => (counts?.completed ?? 0) > 300);
    await stack.client.batches.cancel(id);
    const batch = await untilBatch(stack.client, id);
    expect(batch.status).toBe('cancelled');
    expect(batch.request_counts?.completed).toBe(await callsOf(batch));
    await checkBatch(stack, batch, content);
  });

  it('takes answers of an earlier batch as long as they are there', async () => {
    const questions = (from: number, to: number) =>
      Array.from(
        { length: to - from },
        (_, i) =>
          `${JSON.stringify({
            custom_id: `about-${from + i}`,
            method: 'POST',
            url: '/v1/chat/completions',
            body: { model: 'simulator/echo', seed: 1, messages: [{ role: 'user', content: `Cached ${from + i}` }] },
          })}\n`,
      ).join('');
    const run = async (content: string, promptmill: object) => {
      const batch = await untilBatch(stack.client, (await start(content, promptmill)).id);
      const { output } = await checkBatch(stack, batch, content);
      return { batch, calls: await callsOf(batch), lines: parse(output) };
    };
    /** A batch's job notes where its answers are after the batch has ended. */
    const untilKnown = (answers: number) =>
      expect.poll(() => redis.hlen(createKeys(stack.prefix).answerPlaces('local')), { timeout: 10_000 }).toBe(answers);

    const first = await run(questions(0, 300), { cache: '1h' });
    expect(first.calls).toBe(300);
    await untilKnown(300);
    const second = await run(questions(100, 350), { cache: '1h' });
    expect(second.calls).toBe(50);
    await untilKnown(350);
    expect(second.lines[0]?.promptmill).toMatchObject({
      copied_from: 'about-100',
      copied_from_batch: first.batch.id,
      cost_usd: 0,
      saved_usd: first.lines[100]?.promptmill?.cost_usd,
    });
    expect(extensionOf(second.batch)).toMatchObject({ copied: 200 });
    expect((await run(questions(0, 10), {})).calls).toBe(10);

    const all = await run(questions(0, 350), { cache: '1h', dedupe: true });
    expect(all.calls).toBe(0);
    await stack.client.files.delete(first.batch.output_file_id ?? '');
    // What the second batch had called itself is still there.
    expect((await run(questions(0, 350), { cache: '1h' })).calls).toBe(300);
  });
});
