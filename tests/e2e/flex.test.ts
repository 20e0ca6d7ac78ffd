import { afterAll, beforeAll, describe, expect, inject, it } from 'vitest';
import { checkBatch, createBatch, inputOf, untilBatch } from '../support/batches.ts';
import { extensionOf } from '../support/costs.ts';
import { type Stack, startStack } from '../support/stack.ts';

const concurrency = 10;

interface Note {
  readonly tier?: string;
  readonly tier_from?: string;
  readonly fallback_from?: string;
  readonly cost_usd?: number;
}

describe('a batch that asks for flex', () => {
  let stack: Stack;

  beforeAll(async () => {
    stack = await startStack({
      redisUrl: inject('redisUrl'),
      workers: 2,
      env: { WORKER_CONCURRENCY: '10', SIMULATOR_LATENCY_MS: '50' },
      files: {
        'promptmill.yaml': `
providers:
  simulator:
    concurrency: ${concurrency}
    flex: { concurrency: ${concurrency} }
    models:
      echo: { prices: { input: 2, output: 4 } }
`,
      },
    });
  });
  afterAll(async () => {
    await stack?.stop();
  });

  const run = async (input: string, more: object) => {
    const { id } = await createBatch(stack.client, input, more);
    const batch = await untilBatch(stack.client, id);
    // A refusal for lack of capacity is no attempt.
    const { output = '' } = await checkBatch(stack, batch, input, { allowedRetries: 100 });
    const notes = output
      .trimEnd()
      .split('\n')
      .map((line) => (JSON.parse(line) as { promptmill: Note }).promptmill);
    return { batch, notes, extension: extensionOf(batch) };
  };

  it('is answered by flex at half the price, also where flex refuses calls', async () => {
    const input = inputOf(30);
    const standard = await run(input, {});
    expect(standard.notes.some(({ tier }) => tier !== undefined)).toBe(false);
    expect(standard.extension.tiers).toBeNull();
    for (const status of [429, 498] as const) {
      await stack.control({ flex: { takes: 0.8, status } });
      const { notes, extension } = await run(input, { promptmill: { tier: 'flex' } });
      expect(notes.every(({ tier }) => tier === 'flex')).toBe(true);
      expect(extension).toMatchObject({ tier: 'flex', tiers: { flex: { answers: 30 }, standard: { answers: 0 } } });
      expect(extension.cost.spent).toBeCloseTo((standard.extension.cost.spent ?? Number.NaN) / 2, 9);
      expect(extension.tiers?.flex.spent).toBe(extension.cost.spent);
    }
  });

  it('is done in time while flex is away, and standard calls go on', async () => {
    await stack.control({ flex: { takes: 0 } });
    const input = inputOf(200);
    const { id } = await createBatch(stack.client, input, { completion_window: '1m', promptmill: { tier: 'flex' } });
    await untilBatch(stack.client, id, ({ request_counts: counts }) => (counts?.completed ?? 0) > 0);
    // Its lane is held by now.
    const answer = await stack.client.chat.completions.create({
      model: 'simulator/echo',
      messages: [{ role: 'user', content: 'now' }],
    });
    expect(answer.choices[0]?.message.content).toBe('now');
    await stack.control({ flex: { takes: 1 } });
    const batch = await untilBatch(stack.client, id);
    expect(batch.request_counts).toEqual({ total: 200, completed: 200, failed: 0 });
    const { output = '' } = await checkBatch(stack, batch, input, { allowedRetries: 100 });
    const { tiers } = extensionOf(batch);
    expect(tiers?.standard.answers).toBeGreaterThan(0);
    expect(tiers?.flex.answers).toBeGreaterThan(0);
    expect(output).toContain('"tier":"standard","tier_from":"flex"');
    expect(output).not.toContain('fallback_from');
  });
});
