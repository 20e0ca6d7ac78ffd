import { createBatch, inputOf } from '../support/batches.ts';
import { startDurableRedis } from '../support/local-redis.ts';
import { startStack } from '../support/stack.ts';
import { setTimeout as delay } from 'node:timers/promises';
const server = await startDurableRedis();
const env = {
  WORKER_CONCURRENCY: '100',
  SIMULATOR_LATENCY_MS: '5',
  LOG_LEVEL: 'warn',
  NODE_OPTIONS: '--cpu-prof --cpu-prof-dir=/tmp/prof',
};
const stack = await startStack({ redisUrl: server.url, env });
const { id } = await createBatch(stack.client, inputOf(40000));
for (;;) {
  await delay(200);
  const { status } = await stack.client.batches.retrieve(id);
  if (status === 'completed') break;
}
console.log(
  'worker',
  stack.workers[0]?.child.pid,
  'api',
  stack.api.child.pid,
  'collector',
  stack.collectors[0]?.child.pid,
);
await stack.stop();
await server.stop();
