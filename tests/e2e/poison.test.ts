import { setTimeout as delay } from 'node:timers/promises';
import { afterAll, beforeAll, expect, inject, it } from 'vitest';
import { checkBatch, createBatch, inputOf, untilBatch } from '../support/batches.ts';
import { type RoleProcess, type Stack, startStack } from '../support/stack.ts';

const count = 6;
const poisoned = 2;
let stack: Stack;

beforeAll(async () => {
  stack = await startStack({ redisUrl: inject('redisUrl'), workers: 0 });
});
afterAll(() => stack.stop());

interface Stats {
  readonly calls: number;
  readonly inFlight: number;
}

const untilStats = async (condition: (stats: Stats) => boolean): Promise<void> => {
  for (;;) {
    const stats = (await (await fetch(`${stack.simulator.url}/control/stats`)).json()) as Stats;
    if (condition(stats)) return;
    await delay(20);
  }
};

/** Waits until only the call of the request that kills its workers is in flight. */
const untilAlone = async (): Promise<void> => {
  let calls = 0;
  let since = 0;
  await untilStats((stats) => {
    if (stats.calls !== calls || stats.inFlight !== 1) since = performance.now();
    calls = stats.calls;
    return performance.now() - since > 1000;
  });
};

it('a request that kills three workers becomes an error line, and the requests beside it are answered', async () => {
  // At the first two deaths all requests are in flight, at the third only the one that never ends.
  const promptOf = (index: number): string =>
    index === poisoned ? '[[sim:latency=600000]]' : `Say ${index} [[sim:latency=600000;times=2]]`;
  const input = inputOf(count, promptOf);
  const { id } = await createBatch(stack.client, input);
  const kill = async (worker: RoleProcess): Promise<void> => {
    expect(await worker.stop('SIGKILL')).toBe('SIGKILL');
    await untilStats(({ inFlight }) => inFlight === 0);
  };
  for (let crash = 0; crash < 2; crash++) {
    const worker = await stack.start('worker');
    await untilStats(({ inFlight }) => inFlight === count);
    await kill(worker);
  }
  const third = await stack.start('worker');
  await untilAlone();
  await kill(third);
  await stack.start('worker');
  const batch = await untilBatch(stack.client, id);
  expect(batch).toMatchObject({
    status: 'completed',
    request_counts: { total: count, completed: count - 1, failed: 1 },
  });
  const { errors } = await checkBatch(stack, batch, input, { allowedRepeats: 2 * count + 2 });
  expect(JSON.parse(errors ?? '')).toMatchObject({ custom_id: `request-${poisoned}`, error: { code: 'worker_lost' } });
});
