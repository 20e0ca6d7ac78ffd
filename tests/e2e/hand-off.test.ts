import { afterAll, beforeAll, describe, expect, inject, it } from 'vitest';
import { createBatch, inputOf, untilBatch } from '../support/batches.ts';
import { extensionOf } from '../support/costs.ts';
import { type Stack, startStack } from '../support/stack.ts';

/** One Promptmill is the provider of another. */
describe('a batch that is handed off to the batch API of its provider', () => {
  let inner: Stack;
  let outer: Stack;

  beforeAll(async () => {
    inner = await startStack({ redisUrl: inject('redisUrl') });
    outer = await startStack({
      redisUrl: inject('redisUrl'),
      files: {
        'promptmill.yaml': JSON.stringify({
          providers: {
            inner: {
              baseUrl: `${inner.api.url}/v1`,
              batchApi: { wire: 'openai', maxLines: 400 },
              models: { 'simulator/echo': { prices: { input: 100, output: 100 } } },
            },
          },
        }),
      },
    });
  });
  afterAll(async () => {
    await outer?.stop();
    await inner?.stop();
  });

  it('ends exact, at half the price', async () => {
    const input = inputOf(1000, undefined, 'inner/simulator/echo');
    const { id } = await createBatch(outer.client, input);
    const batch = await untilBatch(outer.client, id, undefined, 60_000);
    expect(batch.request_counts).toEqual({ total: 1000, completed: 1000, failed: 0 });
    expect(extensionOf(batch).batch_api).toEqual({ requests: 1000, waiting: 0, shards: 3, open: 0 });
    expect(await inner.stats()).toMatchObject({ calls: 1000 });
  });
});
