import { type Simulator, startSimulator } from '@promptmill/simulator';
import { afterAll, beforeAll, describe, expect, inject, it } from 'vitest';
import { checkBatch, createBatch, inputOf, untilBatch } from '../support/batches.ts';
import { type Stack, startStack } from '../support/stack.ts';

const concurrency = 4;

describe('a model with a fallback', () => {
  let first: Simulator;
  let stack: Stack;

  beforeAll(async () => {
    first = await startSimulator({ apiKey: 'the-right-key', latency: { kind: 'fixed', ms: 20 } });
    stack = await startStack({
      redisUrl: inject('redisUrl'),
      workers: 2,
      env: { FIRST_KEY: 'the-wrong-key' },
      files: {
        'promptmill.yaml': `
providers:
  first:
    baseUrl: ${first.url}
    apiKeyEnv: FIRST_KEY
    concurrency: ${concurrency}
    models:
      large: { concurrency: ${concurrency}, fallback: [openai/gpt-4.1, simulator/echo] }
`,
      },
    });
  });
  afterAll(async () => {
    await stack.stop();
    await first.close();
  });

  it('leaves a provider that refuses its key for the first fallback that has one, and says so in the results', async () => {
    const input = inputOf(300, undefined, 'first/large');
    const { id } = await createBatch(stack.client, input);
    const batch = await untilBatch(stack.client, id);
    expect(batch.request_counts).toEqual({ total: 300, completed: 300, failed: 0 });
    const { output } = await checkBatch(stack, batch, input);
    for (const line of output?.trimEnd().split('\n') ?? [])
      expect(JSON.parse(line)).toMatchObject({
        response: { body: { model: 'echo' } },
        promptmill: { model: 'simulator/echo', fallback_from: 'first/large' },
      });
    expect(first.stats().calls).toBeLessThanOrEqual(concurrency);
  });

  it('lets requests without one wait until someone acts', async () => {
    const input = inputOf(3, undefined, 'first/small');
    const { id } = await createBatch(stack.client, input);
    const waiting = await untilBatch(
      stack.client,
      id,
      (batch) => (batch as unknown as { promptmill: { waiting_for: unknown[] } }).promptmill.waiting_for.length > 0,
    );
    expect(waiting).toMatchObject({ request_counts: { completed: 0, failed: 0 } });
    await stack.client.batches.cancel(id);
    await untilBatch(stack.client, id);
  });
});
