import { afterAll, beforeAll, describe, expect, inject, it } from 'vitest';
import { checkBatch, createBatch, inputOf, untilBatch } from '../support/batches.ts';
import { type RoleProcess, startStack } from '../support/stack.ts';
import { openEarlierCheckout } from './earlier-checkout.ts';

const requests = 400;
/** A batch outlasts the start of each new process. */
const slow = { kind: 'fixed', ms: 1000 };
const fast = { kind: 'fixed', ms: 5 };
const oneAttempt = { 'promptmill.yaml': 'retry: { attempts: 1 }' };

let earlier: Awaited<ReturnType<typeof openEarlierCheckout>>;
beforeAll(async () => {
  earlier = await openEarlierCheckout();
  console.log(`from ${earlier.version}`);
});
afterAll(() => earlier.remove());

/** An earlier version with a batch that has ended, one that is paused, and one that runs. */
const startEarlier = async () => {
  const stack = await startStack({
    redisUrl: inject('redisUrl'),
    workers: 2,
    collectors: 2,
    env: { WORKER_CONCURRENCY: '5' },
    checkout: earlier.directory,
    files: oneAttempt,
  });
  const { client } = stack;
  const input = inputOf(requests);
  const ended = await createBatch(client, inputOf(20));
  await untilBatch(client, ended.id);
  await stack.control({ latency: slow });
  const paused = await createBatch(client, inputOf(40));
  await untilBatch(client, paused.id, ({ request_counts: counts }) => (counts?.completed ?? 0) > 0);
  await client.post(`/batches/${paused.id}/pause`);
  const running = await createBatch(client, input);
  await untilBatch(client, running.id, ({ request_counts: counts }) => (counts?.completed ?? 0) > 20);
  const upgrade = async (old: RoleProcess): Promise<void> => {
    expect(await old.stop()).toBe(0);
    await stack.start(old.role, old.environment);
  };
  const check = async (): Promise<void> => {
    await stack.control({ latency: fast });
    await client.post(`/batches/${paused.id}/resume`);
    for (const [id, content] of [
      [ended.id, inputOf(20)],
      [paused.id, inputOf(40)],
      [running.id, input],
    ] as const) {
      const batch = await untilBatch(client, id);
      expect(batch).toMatchObject({ status: 'completed', request_counts: { failed: 0 } });
      await checkBatch(stack, batch, content);
    }
  };
  return { stack, runs: async () => (await client.batches.retrieve(running.id)).status, upgrade, check };
};

it('a batch goes on, and no call is repeated, when all processes are stopped and the new version is started', async () => {
  const { stack, check } = await startEarlier();
  const old = [stack.api, ...stack.workers, ...stack.collectors];
  expect(await Promise.all(old.map((process) => process.stop()))).toEqual([0, 0, 0, 0, 0]);
  await Promise.all(old.map(({ role, environment }) => stack.start(role, environment)));
  await check();
  await stack.stop();
});

describe.each([
  ['collectors, workers, api', ['collector', 'worker', 'api']],
  ['api, workers, collectors', ['api', 'worker', 'collector']],
] as const)('replaced one after another: %s', (_, order) => {
  it('a batch goes on, and no call is repeated', async () => {
    const { stack, runs, upgrade, check } = await startEarlier();
    const old = [stack.api, ...stack.workers, ...stack.collectors];
    for (const role of order)
      for (const process of old.filter((one) => one.role === role)) {
        expect(await runs()).toBe('in_progress');
        await upgrade(process);
      }
    await check();
    await stack.stop();
  });
});
