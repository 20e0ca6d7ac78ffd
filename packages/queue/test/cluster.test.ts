import { afterAll, beforeAll, expect, test, vi } from 'vitest';
import { type LocalCluster, startLocalCluster } from '../../../tests/support/local-cluster.ts';
import {
  addBatchJob,
  batchesQueueName,
  closeRedis,
  connectRedis,
  createKeys,
  onBack,
  openBatchesQueue,
  openWorker,
  type RedisConnection,
  untilReady,
} from '../src/index.ts';

let cluster: LocalCluster;

beforeAll(async () => {
  cluster = await startLocalCluster({ replicas: 1 });
});
afterAll(() => cluster.stop());

/** `once` of node:events would fail on an error before it. */
const next = (redis: RedisConnection, event: string) => new Promise((resolve) => redis.once(event, resolve));

const taken: (string | undefined)[] = [];
const untilTaken = (jobId: string) => expect.poll(() => taken, { timeout: 15_000 }).toContain(jobId);

test('commands and workers outlive the node that has their keys, and end when they are told to', async () => {
  const redis = connectRedis({ url: cluster.url, whileAway: 'wait', onError: () => {} });
  const keys = createKeys('failover');
  const worker = openWorker(async ({ id }) => void taken.push(id), {
    connection: redis,
    keys,
    name: batchesQueueName,
    concurrency: 1,
    onError: () => {},
  });
  const queue = openBatchesQueue(redis, keys);
  await addBatchJob(queue, 'before');
  await untilTaken('before');
  const back = vi.fn<() => void>();
  onBack(redis, back);

  await cluster.nodes[2]?.end('SIGKILL');
  await addBatchJob(queue, 'after');
  await untilTaken('after');
  await expect.poll(() => back.mock.calls.length, { timeout: 5000 }).toBeGreaterThan(0);

  await worker.close();
  await queue.close();
  const ended = next(redis, 'end');
  await closeRedis(redis);
  await ended;
});

test('a connection opened again while no node is there ends when it is told to, or opens when nodes are there', async () => {
  const redis = connectRedis({ url: cluster.url, whileAway: 'wait', onError: () => {} });
  await untilReady(redis);
  const end = async (): Promise<void> => {
    const ended = next(redis, 'end');
    redis.disconnect();
    await ended;
  };
  await end();
  await Promise.all(cluster.nodes.map((node) => node.end('SIGKILL')));
  for (const comesBack of [false, true]) {
    const retried = next(redis, 'reconnecting');
    const outcome = redis.connect().then(
      () => 'open',
      () => 'ended',
    );
    await retried;
    if (comesBack) await Promise.all(cluster.nodes.map((node) => node.start()));
    else await end();
    expect(await outcome).toBe(comesBack ? 'open' : 'ended');
  }
  await closeRedis(redis);
});
