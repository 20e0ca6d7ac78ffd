import { beforeAll, describe, expect, it } from 'vitest';
import { checkBatch, createBatch, inputOf, untilBatch } from '../support/batches.ts';
import { type LocalCluster, startLocalCluster } from '../support/local-cluster.ts';
import { type Stack, startStack } from '../support/stack.ts';

const concurrency = 20;
const count = 400;
const halfDone = ({ request_counts: counts }: { request_counts?: { completed: number } }): boolean =>
  (counts?.completed ?? 0) > count / 3;

describe('on a Redis Cluster, a batch loses nothing', () => {
  let cluster: LocalCluster;
  let stack: Stack;

  beforeAll(async () => {
    cluster = await startLocalCluster({ replicas: 1 });
    return () => cluster.stop();
  });
  beforeAll(async () => {
    stack = await startStack({
      redisUrl: cluster.url,
      workers: 2,
      env: { WORKER_CONCURRENCY: String(concurrency), SIMULATOR_LATENCY_MS: '50' },
    });
    return () => stack.stop();
  });

  it('when a worker is killed', async () => {
    const input = inputOf(count);
    const { id } = await createBatch(stack.client, input);
    await untilBatch(stack.client, id, halfDone);
    await stack.workers[0]?.stop('SIGKILL');
    await checkBatch(stack, await untilBatch(stack.client, id), input, { allowedRepeats: concurrency });
  });

  it('when its node is killed and the replica takes over', async () => {
    const input = inputOf(count);
    const client = stack.client.withOptions({ maxRetries: 20 });
    const { id } = await createBatch(client, input);
    await untilBatch(client, id, halfDone);
    await cluster.nodes[2]?.end('SIGKILL');
    const batch = await untilBatch(client, id);
    expect(batch.status).toBe('completed');
    // Requests whose results had not reached the replica may be called again.
    await checkBatch({ ...stack, client }, batch, input, { allowedRepeats: 3 * concurrency });
  });

  it('when the slots of its lane, its own keys and its jobs move to other nodes; no call is made twice', async () => {
    const input = inputOf(count);
    const client = stack.client.withOptions({ maxRetries: 20 });
    const { id } = await createBatch(client, input);
    await untilBatch(client, id, halfDone);
    // The one worker that is left makes 20 calls at a time, so the rest takes longer than the moves.
    await stack.control({ latency: { kind: 'fixed', ms: 2000 } });
    for (const tag of ['q-simulator', 's0', 'q-batches', 'q-finalize']) await cluster.moveSlotOf(`{${tag}}`);
    expect((await client.batches.retrieve(id)).status).toBe('in_progress');
    await stack.control({ latency: { kind: 'fixed', ms: 50 } });
    await checkBatch({ ...stack, client }, await untilBatch(client, id), input);
  });
});
