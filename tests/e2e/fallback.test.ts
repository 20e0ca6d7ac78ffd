import { type Simulator, startSimulator } from '@promptmill/simulator';
import { afterAll, beforeAll, describe, expect, inject, it } from 'vitest';
import { checkBatch, createBatch, inputOf, untilBatch } from '../support/batches.ts';
import { type Stack, startStack } from '../support/stack.ts';

const concurrency = 4;
const probeIntervalMs = 2000;

interface Line {
  readonly promptmill?: { readonly model: string; readonly fallback_from: string };
}

describe('a model with a fallback', () => {
  let first: Simulator;
  let stack: Stack;

  beforeAll(async () => {
    first = await startSimulator({ errorRate: 1, errorStatus: 401, latency: { kind: 'fixed', ms: 20 } });
    stack = await startStack({
      redisUrl: inject('redisUrl'),
      workers: 2,
      files: {
        'promptmill.yaml': `
providers:
  first:
    baseUrl: ${first.url}
    probeIntervalMs: ${probeIntervalMs}
    models:
      echo: { concurrency: ${concurrency}, fallback: [openai/gpt-4.1, simulator/echo] }
`,
      },
    });
  });
  afterAll(async () => {
    await stack.stop();
    await first.close();
  });

  const resultsOf = async (id: string): Promise<Line[]> => {
    const { output_file_id: file } = await untilBatch(stack.client, id);
    const output = await (await stack.client.files.content(file ?? '')).text();
    return output
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line) as Line);
  };

  it('goes to the first fallback with a key when its provider refuses the key, and its results say so', async () => {
    const input = inputOf(300, undefined, 'first/echo');
    const startedAt = performance.now();
    const { id } = await createBatch(stack.client, input);
    const batch = await untilBatch(stack.client, id);
    // The lane is held with the third refusal in a row, for 1 s at first.
    const callsBeforeHold = concurrency + 2;
    const probes = 1 + Math.floor(Math.max(0, performance.now() - startedAt - 1000) / probeIntervalMs);
    expect(batch.request_counts).toEqual({ total: 300, completed: 300, failed: 0 });
    await checkBatch(stack, batch, input);
    for (const { promptmill } of await resultsOf(id))
      expect(promptmill).toEqual({ model: 'simulator/echo', fallback_from: 'first/echo' });
    expect(first.stats().calls).toBeLessThanOrEqual(callsBeforeHold + probes);
  });

  it('comes back to its provider once that takes calls again', async () => {
    first.configure({ errorRate: 0 });
    const answeredByFallback = async (): Promise<boolean> => {
      const { id } = await createBatch(stack.client, inputOf(2, undefined, 'first/echo'));
      return (await resultsOf(id)).some(({ promptmill }) => promptmill !== undefined);
    };
    await expect.poll(answeredByFallback, { timeout: 30_000, interval: 500 }).toBe(false);
  });
});
