import { afterAll, beforeAll, describe, expect, inject, it, vi } from 'vitest';
import { createBatch, inputOf, untilBatch } from '../support/batches.ts';
import { extensionOf } from '../support/costs.ts';
import { checkHandedOff, shardsOf, startHandOffStacks, usdPerMillion } from '../support/hand-off.ts';
import { inLongForm } from '../support/long-form.ts';
import type { Role, RoleProcess, Stack } from '../support/stack.ts';

const maxLines = 300;
const requests = 900;
const model = 'inner/simulator/echo';

interface Row {
  /** A value of PROMPTMILL_FAIL_POINT. */
  readonly point: string;
  readonly role: 'api' | 'worker';
  /** Whether some requests come back from their shard, and run live. */
  readonly hasReturned?: true;
}

const rows: readonly Row[] = [
  { point: 'hand-off-planned', role: 'api' },
  { point: 'shard-uploaded', role: 'worker' },
  { point: 'shard-created', role: 'worker' },
  { point: 'shard-written', role: 'worker' },
  { point: 'shard-committed', role: 'worker' },
  { point: 'returned-added', role: 'api', hasReturned: true },
];

describe('a batch at the batch API of its provider', () => {
  let inner: Stack;
  let outer: Stack;
  const running = new Map<string, RoleProcess>();

  beforeAll(async () => {
    const env = { WORKER_CONCURRENCY: '20' };
    ({ inner, outer } = await startHandOffStacks({ redisUrl: inject('redisUrl') }, { maxLines }, { env }));
    for (const stack of [inner, outer])
      for (const process of [stack.api, ...stack.workers]) running.set(`${stack.prefix} ${process.role}`, process);
  });
  afterAll(async () => {
    await outer?.stop();
    await inner?.stop();
  });

  const processOf = (stack: Stack, role: Role): RoleProcess => running.get(`${stack.prefix} ${role}`) ?? stack.api;

  /** Starts a role again at its address. */
  const restart = async (stack: Stack, role: Role, more: Record<string, string> = {}): Promise<void> => {
    const before = processOf(stack, role);
    await before.stop('SIGKILL');
    const { PROMPTMILL_FAIL_POINT: _point, ...environment } = before.environment;
    running.set(`${stack.prefix} ${role}`, await stack.start(role, { ...environment, ...more }));
  };

  const expectExact = async (id: string, input: string, allowedRepeats: number): Promise<void> => {
    const batch = await untilBatch(outer.client, id);
    expect(batch.request_counts).toEqual({ total: requests, completed: requests, failed: 0 });
    const shards = await shardsOf(inner, id);
    // No shard was made twice.
    expect(shards.map(({ shard }) => shard)).toEqual([0, 1, 2]);
    const { output, calls } = await checkHandedOff({ inner, outer }, batch, input, { maxLines, allowedRepeats });
    expect(calls.length).toBeLessThanOrEqual(requests + allowedRepeats);
    expect(extensionOf(batch).batch_api).toEqual({ requests, waiting: 0, shards: 3, open: 0 });
    const halfPrice = ((batch.usage?.total_tokens ?? 0) * usdPerMillion) / 1e6 / 2;
    if (output.every(({ promptmill: note }) => note?.via === 'batch_api'))
      expect(extensionOf(batch).cost.spent).toBeCloseTo(halfPrice, 9);
  };

  it('goes on when processes of both sides are killed', async () => {
    const input = inputOf(requests, (i) => `[[sim:latency=${50 + (i % 100)}]] ${i}`, model);
    await restart(outer, 'worker', { PROMPTMILL_FAIL_POINT: 'shard-created' });
    const { id } = await createBatch(outer.client, input);
    await expect.poll(() => processOf(outer, 'worker').child.signalCode, { timeout: 30_000 }).toBe('SIGKILL');
    await Promise.all([
      restart(outer, 'worker'),
      restart(outer, 'api'),
      restart(inner, 'api'),
      restart(inner, 'worker'),
    ]);
    // Calls of the inner worker that had no answer are made again.
    await expectExact(id, input, 20);
  });

  it.runIf(inLongForm).each(rows)(
    'loses nothing, and pays nothing twice, at $point',
    async ({ point, role, hasReturned }) => {
      const promptOf = (i: number): string => (hasReturned ? `[[sim:latency=${100 + i}]] ${i}` : `Say ${i}`);
      const input = inputOf(requests, promptOf, model);
      await restart(outer, role, { PROMPTMILL_FAIL_POINT: point });
      const { id } = await createBatch(outer.client, input);
      if (hasReturned) {
        await vi.waitUntil(async () => (await shardsOf(inner, id)).length === 3, { timeout: 30_000 });
        for (const { batch } of await shardsOf(inner, id)) await inner.client.batches.cancel(batch.id);
      }
      await expect.poll(() => processOf(outer, role).child.signalCode, { timeout: 60_000 }).toBe('SIGKILL');
      await restart(outer, role);
      await expectExact(id, input, 0);
    },
  );
});
