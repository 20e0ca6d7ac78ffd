import { afterAll, afterEach, beforeAll, describe, inject, it } from 'vitest';
import { checkBatch, createBatch, inputOf, untilBatch } from '../support/batches.ts';
import { type DurableRedis, startDurableRedis } from '../support/local-redis.ts';
import { type RoleProcess, type Stack, startStack } from '../support/stack.ts';
import { inLongForm } from '../support/long-form.ts';

const graceMs = 2000;
/** The grace of a process without PROMPTMILL_GRACE_MS. */
const defaultGraceMs = 25_000;
/** How long a process may take after its grace. */
const letGoMs = 10_000;

/** With one attempt, a request that uses it up becomes an error line. */
const files = { 'promptmill.yaml': 'retry: { attempts: 1 }' };

const stopInTime = async (running: RoleProcess, withinMs: number): Promise<number | NodeJS.Signals> => {
  const startedAt = performance.now();
  const code = await running.stop('SIGTERM');
  const tookMs = performance.now() - startedAt;
  if (tookMs > withinMs) throw new Error(`a ${running.role} took ${tookMs} ms to end, with ${code}`);
  return code;
};

describe.concurrent('while a batch runs', () => {
  let stack: Stack;

  beforeAll(async () => {
    stack = await startStack({
      redisUrl: inject('redisUrl'),
      workers: 2,
      collectors: 2,
      env: { WORKER_CONCURRENCY: '10', SIMULATOR_LATENCY_MS: '1500' },
      files,
    });
  });
  afterAll(() => stack.stop());

  it('every process is restarted in turn: each exits with 0, no attempt is used, and no call is repeated', async ({
    expect,
  }) => {
    // At 1.5 s a call these take 75 s, so that the batch still runs at the last restart.
    const requests = 1000;
    const input = inputOf(requests);
    const { id } = await createBatch(stack.client, input);
    await untilBatch(stack.client, id, ({ request_counts: counts }) => (counts?.completed ?? 0) > 20);
    for (const process of [...stack.workers, ...stack.collectors, stack.api]) {
      expect(await stack.client.batches.retrieve(id)).toMatchObject({ status: 'in_progress' });
      expect(await stopInTime(process, defaultGraceMs)).toBe(0);
      await stack.start(process.role, process.environment);
    }
    await stack.control({ latency: { kind: 'fixed', ms: 100 } });
    const batch = await untilBatch(stack.client, id);
    expect(batch.request_counts).toEqual({ total: requests, completed: requests, failed: 0 });
    await checkBatch(stack, batch, input);
  });
});

describe.concurrent('a worker whose calls take longer than its grace', () => {
  let stack: Stack;

  beforeAll(async () => {
    stack = await startStack({
      redisUrl: inject('redisUrl'),
      env: { WORKER_CONCURRENCY: '10', SIMULATOR_LATENCY_MS: '60000', PROMPTMILL_GRACE_MS: String(graceMs) },
      files,
    });
  });
  afterAll(() => stack.stop());

  it('puts their requests back, and these run elsewhere at once and have used no attempt', async ({ expect }) => {
    const requests = 10;
    const input = inputOf(requests);
    const { id } = await createBatch(stack.client, input);
    const inFlight = async (): Promise<unknown> =>
      ((await (await fetch(`${stack.simulator.url}/control/stats`)).json()) as { inFlight: number }).inFlight;
    await expect.poll(inFlight, { timeout: 15_000 }).toBe(requests);
    await stack.start('worker');
    const [worker] = stack.workers;
    if (!worker) throw new Error('no worker');
    await stack.control({ latency: { kind: 'fixed', ms: 100 } });
    expect(await stopInTime(worker, graceMs + letGoMs)).toBe(0);
    // The requests of a dead worker would take longer: its locks would have to run out first.
    const batch = await untilBatch(stack.client, id, ({ status }) => status === 'completed', 6000);
    expect(batch.request_counts).toEqual({ total: requests, completed: requests, failed: 0 });
    await checkBatch(stack, batch, input, { allowedRepeats: requests });
  });
});

describe.concurrent('while Redis is away', () => {
  const latencyMs = 1000;
  let redis: DurableRedis;
  let stack: Stack;

  const start = async (graceMs: number): Promise<void> => {
    redis = await startDurableRedis();
    stack = await startStack({
      redisUrl: redis.url,
      env: {
        WORKER_CONCURRENCY: '5',
        SIMULATOR_LATENCY_MS: String(latencyMs),
        PROMPTMILL_GRACE_MS: String(graceMs),
      },
      files,
    });
  };
  afterEach(async () => {
    await stack.stop();
    await redis.stop();
  });

  it(
    'a process without answers exits with 0 and does not wait for Redis',
    { concurrent: false },
    async ({ expect }) => {
      // Longer than the test may take, so that a process that waits for Redis fails it.
      const longGraceMs = 300_000;
      await start(longGraceMs);
      await redis.kill();
      const idle = [stack.api, ...stack.workers, ...stack.collectors];
      expect(await Promise.all(idle.map((process) => process.stop()))).toEqual([0, 0, 0]);
      await redis.restart();
    },
  );

  const backAgain = [
    ['in time, the answers are recorded, and the worker exits with 0', true, 0],
    ['too late, the worker exits with 1, and the requests are called again', false, 1],
  ] as const;
  it.for(inLongForm ? backAgain : backAgain.slice(0, 1))(
    'a worker with answers waits for Redis; when Redis is back %s',
    { concurrent: false },
    async (row, { expect }) => {
      const [, inTime, exitCode] = row;
      await start(graceMs + latencyMs);
      const requests = 5;
      const input = inputOf(requests);
      const { id } = await createBatch(stack.client, input);
      const stats = async (): Promise<{ calls: number; inFlight: number }> =>
        (await (await fetch(`${stack.simulator.url}/control/stats`)).json()) as { calls: number; inFlight: number };
      await expect.poll(stats, { timeout: 15_000 }).toMatchObject({ inFlight: requests });
      await redis.kill();
      const [worker] = stack.workers;
      const stopped = worker && stopInTime(worker, graceMs + latencyMs + letGoMs);
      await expect.poll(stats, { timeout: 15_000 }).toMatchObject({ calls: requests, inFlight: 0 });
      if (inTime) await redis.restart();
      expect(await stopped).toBe(exitCode);
      if (!inTime) await redis.restart();
      await stack.start('worker');
      const batch = await untilBatch(stack.client.withOptions({ maxRetries: 10 }), id);
      expect(batch.request_counts).toEqual({ total: requests, completed: requests, failed: 0 });
      await checkBatch(stack, batch, input, { allowedRepeats: inTime ? 0 : requests });
    },
  );
});
