import { afterAll, beforeAll, describe, expect, inject, it } from 'vitest';
import { checkBatch, createBatch, inputOf, untilBatch } from '../support/batches.ts';
import { type RoleProcess, type Stack, startStack } from '../support/stack.ts';

const callsBy = async ({ url }: RoleProcess): Promise<number> => {
  const metrics = await (await fetch(`${url}/metrics`)).text();
  const counts = metrics.matchAll(/^promptmill_calls_total\{.*class="success".*\} (\d+)$/gm);
  return [...counts].reduce((sum, [, count]) => sum + Number(count), 0);
};

describe('a batch across two workers and two collectors', () => {
  let stack: Stack;

  beforeAll(async () => {
    stack = await startStack({ redisUrl: inject('redisUrl'), workers: 2, collectors: 2 });
  });
  afterAll(() => stack.stop());

  it('answers every line once, in order, with one call each, by both workers', async () => {
    const input = inputOf(2000);
    const created = await createBatch(stack.client, input);
    expect(created.status).toBe('validating');
    const batch = await untilBatch(stack.client, created.id);
    expect(batch).toMatchObject({
      status: 'completed',
      request_counts: { total: 2000, completed: 2000, failed: 0 },
      error_file_id: null,
      model: 'simulator/echo',
    });
    const { output } = await checkBatch(stack, batch, input);
    const first = JSON.parse(output?.split('\n')[0] ?? '');
    expect(first).toMatchObject({
      custom_id: 'request-0',
      response: { status_code: 200, body: { choices: [{ message: { content: 'Say 0' } }] } },
      error: null,
    });
    expect(batch.usage?.total_tokens).toBeGreaterThan(0);
    const [one, two] = await Promise.all(stack.workers.map(callsBy));
    expect(one).toBeGreaterThan(200);
    expect(two).toBeGreaterThan(200);
    expect((one ?? 0) + (two ?? 0)).toBe(2000);
  });

  it('writes a failed request into the error file, after all its attempts', async () => {
    const prompts = ['fine', '[[sim:status=400]]', '[[sim:status=503;times=1]] later', 'also fine'];
    const input = inputOf(prompts.length, (i) => prompts[i] ?? '');
    const batch = await untilBatch(stack.client, (await createBatch(stack.client, input)).id);
    expect(batch.request_counts).toEqual({ total: 4, completed: 3, failed: 1 });
    const { errors } = await checkBatch(stack, batch, input, { allowedRetries: 1 });
    expect(JSON.parse(errors ?? '')).toMatchObject({
      custom_id: 'request-1',
      response: { status_code: 400, body: { error: { type: expect.any(String) } } },
      error: null,
    });
  });

  it('completes a batch without an output file when all its requests fail', async () => {
    const input = inputOf(3, () => '[[sim:status=404]]');
    const batch = await untilBatch(stack.client, (await createBatch(stack.client, input)).id);
    expect(batch).toMatchObject({ status: 'completed', request_counts: { total: 3, completed: 0, failed: 3 } });
    expect(batch.output_file_id).toBeNull();
    await checkBatch(stack, batch, input);
  });

  it('does not let a small batch wait for a large one on the same lane', async () => {
    const large = await createBatch(
      stack.client,
      inputOf(3000, () => '[[sim:latency=100]]'),
    );
    await untilBatch(stack.client, large.id, ({ request_counts: counts }) => (counts?.completed ?? 0) > 0);
    const input = inputOf(10);
    const small = await untilBatch(stack.client, (await createBatch(stack.client, input)).id);
    await checkBatch(stack, small, input);
    const meanwhile = await stack.client.batches.retrieve(large.id);
    expect(meanwhile.status).toBe('in_progress');
    await untilBatch(stack.client, (await stack.client.batches.cancel(large.id)).id);
  });
});
