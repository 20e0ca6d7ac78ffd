import type { Batch } from 'openai/resources/batches';
import { afterAll, beforeAll, describe, expect, inject, it } from 'vitest';
import { checkBatch, createBatch, inputOf, untilBatch } from '../support/batches.ts';
import { type Stack, startStack } from '../support/stack.ts';

const linesOf = (content = ''): string[] => content.split(/(?<=\n)/).filter((line) => line !== '');
const customIds = (content?: string): string[] =>
  linesOf(content).map((line) => (JSON.parse(line) as { custom_id: string }).custom_id);

/** The input lines of the requests in an error file. */
const inputOfFailed = (input: string, errors: string | undefined): string => {
  const failed = new Set(customIds(errors));
  const ids = customIds(input);
  return linesOf(input)
    .filter((_, i) => failed.has(ids[i] ?? ''))
    .join('');
};

describe('a batch that is retried', () => {
  let stack: Stack;

  beforeAll(async () => {
    stack = await startStack({ redisUrl: inject('redisUrl'), env: { WORKER_CONCURRENCY: '10' } });
  });
  afterAll(() => stack.stop());

  const setErrorRate = (errorRate: number): Promise<Response> =>
    fetch(`${stack.simulator.url}/control`, { method: 'POST', body: JSON.stringify({ errorRate, errorStatus: 422 }) });
  const retry = (id: string, body: object = {}): Promise<Batch> => stack.client.post(`/batches/${id}/retry`, { body });

  it('runs failed requests again and again, until every request has its answer', async () => {
    const input = inputOf(300);
    await setErrorRate(0.3);
    const first = await untilBatch(stack.client, (await createBatch(stack.client, input)).id);
    const one = await checkBatch(stack, first, input);
    const failedOnce = inputOfFailed(input, one.errors);

    const second = await untilBatch(stack.client, (await stack.client.post<Batch>(`/batches/${first.id}/retry`)).id);
    const two = await checkBatch(stack, second, failedOnce);
    const failedTwice = inputOfFailed(input, two.errors);
    expect(linesOf(failedOnce).length).toBeGreaterThan(linesOf(failedTwice).length);

    await setErrorRate(0);
    const third = await untilBatch(stack.client, (await retry(second.id, { error_codes: ['422'] })).id);
    const three = await checkBatch(stack, third, failedTwice);
    expect(third).toMatchObject({ status: 'completed', error_file_id: null });
    expect([one, two, three].flatMap(({ output }) => customIds(output)).toSorted()).toEqual(
      customIds(input).toSorted(),
    );

    expect(second).toMatchObject({ promptmill: { retry_of: first.id, retried_by: [] } });
    expect(await stack.client.batches.retrieve(first.id)).toMatchObject({ promptmill: { retried_by: [second.id] } });
    await expect(retry(third.id)).rejects.toMatchObject({ status: 400, code: 'nothing_to_retry' });
  });

  it('runs the requests of a cancelled batch that never ran', async () => {
    const input = inputOf(200, (i) => `[[sim:latency=100]] ${i}`);
    const { id } = await createBatch(stack.client, input);
    await untilBatch(stack.client, id, ({ request_counts: counts }) => (counts?.completed ?? 0) >= 20);
    await expect(retry(id)).rejects.toMatchObject({ status: 409 });
    await stack.client.batches.cancel(id);
    const { errors } = await checkBatch(stack, await untilBatch(stack.client, id), input);

    const batch = await untilBatch(stack.client, (await retry(id, { error_codes: ['batch_cancelled'] })).id);
    expect(batch).toMatchObject({ status: 'completed', error_file_id: null });
    await checkBatch(stack, batch, inputOfFailed(input, errors));
  });
});
