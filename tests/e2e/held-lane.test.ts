import { afterAll, beforeAll, describe, expect, inject, it } from 'vitest';
import { checkBatch, createBatch, inputOf, untilBatch } from '../support/batches.ts';
import { type Stack, startStack } from '../support/stack.ts';

interface Lane {
  readonly id: string;
  readonly held_until: number | null;
  readonly reason: string | null;
}

describe('a provider that answers 429', () => {
  let stack: Stack;

  beforeAll(async () => {
    stack = await startStack({ redisUrl: inject('redisUrl'), workers: 2, env: { WORKER_CONCURRENCY: '5' } });
  });
  afterAll(() => stack.stop());

  const lane = async (): Promise<Lane | undefined> => {
    const answer = await fetch(`${stack.api.url}/v1/lanes`);
    return ((await answer.json()) as { data: Lane[] }).data.find(({ id }) => id === 'simulator');
  };

  const holdMs = 8000;
  /** How long it may take until no worker starts a call any more. */
  const spreadMs = 1000;

  it('holds its lane for as long as it asks, shows why, and uses no attempt', async () => {
    const input = inputOf(40, (i) =>
      i === 10 ? `[[sim:status=429;retry-after=${holdMs / 1000};times=1]]` : `[[sim:latency=50]] ${i}`,
    );
    const { id } = await createBatch(stack.client, input);
    const waiting = await untilBatch(
      stack.client,
      id,
      (batch) => (batch as unknown as { promptmill: { waiting_for: unknown[] } }).promptmill.waiting_for.length > 0,
    );
    expect(waiting).toMatchObject({
      status: 'in_progress',
      promptmill: {
        waiting_for: [
          {
            lane: 'simulator',
            reason: 'rate_limited (429)',
            message: expect.stringContaining('rate_limited: simulator answered 429:'),
          },
        ],
      },
    });
    expect(await lane()).toMatchObject({
      held_until: expect.any(Number),
      reason: 'rate_limited (429)',
    });
    const metrics = await (await fetch(`${stack.api.url}/metrics`)).text();
    expect(metrics).toMatch(/promptmill_lane_held_seconds\{lane="simulator",role="api"\} [1-8]/);

    const batch = await untilBatch(stack.client, id);
    expect(batch.request_counts).toEqual({ total: 40, completed: 40, failed: 0 });
    await checkBatch(stack, batch, input, { allowedRetries: 1 });
    expect(await lane()).toMatchObject({ held_until: null, reason: null });
    const calls = await stack.calls();
    const refused = calls.find(({ status }) => status === 429);
    if (!refused) throw new Error('no call was refused');
    const { endedAt } = refused;
    expect(calls.filter(({ at }) => at > endedAt + spreadMs && at < endedAt + holdMs)).toEqual([]);
  });
});
