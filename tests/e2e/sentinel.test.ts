import { setTimeout as delay } from 'node:timers/promises';
import { Redis } from 'ioredis';
import { beforeAll, describe, expect, it } from 'vitest';
import { checkBatch, createBatch, inputOf, untilBatch } from '../support/batches.ts';
import { createRedisServer } from '../support/local-redis.ts';
import { type Stack, startStack } from '../support/stack.ts';

const concurrency = 20;
const count = 400;
const halfDone = ({ request_counts: counts }: { request_counts?: { completed: number } }): boolean =>
  (counts?.completed ?? 0) > count / 3;

type Server = Awaited<ReturnType<typeof createRedisServer>>;

/** Waits until a server gives the answer to a question. */
const untilSays = async ({ url }: Server, question: string[], answer: RegExp): Promise<void> => {
  const redis = new Redis(url);
  const [command = '', ...rest] = question;
  while (!answer.test(String(await redis.call(command, ...rest)))) await delay(20);
  redis.disconnect();
};

describe('with Redis Sentinel', () => {
  let master: Server;
  let stack: Stack;

  const start = async (redisArguments: readonly string[], config?: string): Promise<Server> => {
    const server = await createRedisServer(redisArguments, config);
    await server.start();
    return server;
  };

  beforeAll(async () => {
    master = await start(['--repl-diskless-sync-delay', '0']);
    return () => master.stop();
  });
  beforeAll(async () => {
    const replica = await start(['--replicaof', `127.0.0.1 ${master.port}`]);
    await untilSays(replica, ['INFO', 'replication'], /master_link_status:up/);
    const sentinel = await start(
      ['--sentinel'],
      [
        `sentinel monitor main 127.0.0.1 ${master.port} 1`,
        'sentinel down-after-milliseconds main 1000',
        'sentinel failover-timeout main 5000\n',
      ].join('\n'),
    );
    await untilSays(sentinel, ['SENTINEL', 'REPLICAS', 'main'], new RegExp(`${replica.port}`));
    stack = await startStack({
      redisUrl: `redis+sentinel://127.0.0.1:${sentinel.port}/main`,
      env: { WORKER_CONCURRENCY: String(concurrency), SIMULATOR_LATENCY_MS: '50' },
    });
    return async () => {
      await stack.stop();
      await Promise.all([sentinel.stop(), replica.stop()]);
    };
  });

  it('a batch goes on when the master is killed and its replica takes over', async () => {
    const input = inputOf(count);
    const client = stack.client.withOptions({ maxRetries: 20 });
    const { id } = await createBatch(client, input);
    await untilBatch(client, id, halfDone);
    await master.end('SIGKILL');
    const batch = await untilBatch(client, id);
    expect(batch.status).toBe('completed');
    // Requests whose results had not reached the replica may be called again.
    await checkBatch({ ...stack, client }, batch, input, { allowedRepeats: 3 * concurrency });
  });
});
