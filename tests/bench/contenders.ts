import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { setTimeout as delay } from 'node:timers/promises';
import { Queue } from 'bullmq';
import { Redis } from 'ioredis';
import type { OpenAI } from 'openai';
import { createBatch, inputOf } from '../support/batches.ts';
import { startDurableRedis } from '../support/local-redis.ts';
import { startStack } from '../support/stack.ts';
import { type Caller, type CallerKind, startCaller } from './processes.ts';

/** A way to get requests answered, with all of its processes. */
export interface Contender {
  readonly name: string;
  /** Its processes' ids by what they are. */
  readonly processes: Readonly<Record<string, number | undefined>>;
  /** Resolves to how many requests got their answer. */
  readonly run: (requests: number) => Promise<number>;
  /** Cleans up after a run. Its cost is not counted. */
  readonly tidy?: () => Promise<unknown>;
}

const startRedis = async (ends: AsyncDisposableStack) => {
  const server = await startDurableRedis();
  ends.defer(() => server.stop());
  const redis = new Redis(server.url);
  const pid = Number(/process_id:(\d+)/.exec(await redis.info('server'))?.[1] ?? Number.NaN);
  redis.disconnect();
  return { url: server.url, pid };
};

const runBatch = async (client: OpenAI, count: number): Promise<number> => {
  const { id } = await createBatch(client, inputOf(count));
  for (;;) {
    // Each poll costs the api something too.
    await delay(100);
    const { status, request_counts: counts } = await client.batches.retrieve(id);
    if (status === 'completed') return counts?.completed ?? 0;
    if (status === 'failed') throw new Error(`batch ${id} has failed`);
  }
};

/** Starts `proxy.ts`. */
const startProxy = async (ends: AsyncDisposableStack, providerUrl: string, concurrency: number) => {
  const child = spawn(process.execPath, [join(import.meta.dirname, 'proxy.ts'), providerUrl, String(concurrency)], {
    stdio: ['ignore', 'pipe', 'inherit'],
    env: { PATH: process.env['PATH'] },
  });
  ends.defer(() => void child.kill());
  const [url] = (await once(createInterface(child.stdout), 'line')) as [string];
  return { url, pid: child.pid };
};

/** Starts all contenders, each Redis with an append-only file. They share a simulator, whose cost is not counted. */
export const startContenders = async (
  ends: AsyncDisposableStack,
  { concurrency, latencyMs }: { readonly concurrency: number; readonly latencyMs: number },
): Promise<readonly Contender[]> => {
  const redis = await startRedis(ends);
  const plainRedis = await startRedis(ends);
  const env = { WORKER_CONCURRENCY: String(concurrency), SIMULATOR_LATENCY_MS: String(latencyMs), LOG_LEVEL: 'warn' };
  const { client, api, workers, collectors, simulator, stop } = await startStack({ redisUrl: redis.url, env });
  ends.defer(() => stop());
  const start = async (kind: CallerKind, to: { url: string; model?: string } = simulator): Promise<Caller> => {
    const { url, model = 'echo' } = to;
    const caller = await startCaller(kind, { url, model, concurrency, redisUrl: plainRedis.url });
    ends.defer(() => caller.stop());
    return caller;
  };
  const sdk = await start('sdk');
  const bullmq = await start('bullmq');
  const undici = await start('undici');
  const live = await start('undici', { url: api.url, model: 'simulator/echo' });
  const proxy = await startProxy(ends, simulator.url, concurrency);
  const proxied = await start('undici', { url: proxy.url });
  const queue = new Queue('plain', { connection: { url: plainRedis.url } });
  ends.defer(() => queue.close());
  return [
    {
      name: 'Promptmill',
      processes: {
        api: api.child.pid,
        worker: workers[0]?.child.pid,
        collector: collectors[0]?.child.pid,
        redis: redis.pid,
      },
      run: (count) => runBatch(client, count),
    },
    {
      name: 'live calls',
      processes: { api: api.child.pid, worker: workers[0]?.child.pid, redis: redis.pid },
      run: live.run,
    },
    { name: 'bare proxy', processes: { proxy: proxy.pid }, run: proxied.run },
    { name: 'bare SDK', processes: { caller: sdk.pid }, run: sdk.run },
    {
      name: 'plain BullMQ',
      processes: { worker: bullmq.pid, redis: plainRedis.pid },
      run: bullmq.run,
      tidy: () => queue.clean(0, 0, 'completed'),
    },
    { name: 'undici alone', processes: { caller: undici.pid }, run: undici.run },
  ];
};
