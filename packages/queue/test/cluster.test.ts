import { once } from 'node:events';
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
} from '../src/index.ts';

let cluster: LocalCluster;

beforeAll(async () => {
  cluster = await startLocalCluster({ replicas: 1 });
});
afterAll(() => cluster.stop());

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
  const ended = once(redis, 'end');
  await closeRedis(redis);
  await ended;
});
