import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { Redis } from 'ioredis';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { checkBatch, createBatch, inputOf, untilBatch } from '../support/batches.ts';
import { type DurableRedis, startDurableRedis } from '../support/local-redis.ts';
import { type RoleProcess, type Stack, startStack } from '../support/stack.ts';
import { startTcpProxy, type TcpProxy } from '../support/tcp-proxy.ts';
import { inLongForm } from '../support/long-form.ts';

const concurrency = 20;
const latencyMs = 100;
const count = 1000;
/** Work goes on within this time after the last fault. */
const recoveryMs = 10_000;

describe('a batch that is under way when', () => {
  let redis: DurableRedis;
  /** The proxy to Redis of one worker, and that of all other processes. */
  let one: TcpProxy;
  let others: TcpProxy;
  let stack: Stack;

  beforeAll(async () => {
    redis = await startDurableRedis();
    one = await startTcpProxy(redis.url);
    others = await startTcpProxy(redis.url);
    stack = await startStack({
      redisUrl: redis.url,
      redisUrlOf: (role, index) => (role === 'worker' && index === 0 ? one : others).url,
      workers: 2,
      env: {
        WORKER_CONCURRENCY: String(concurrency),
        SIMULATOR_LATENCY_MS: String(latencyMs),
        // The batch is not in Redis as a whole when the fault begins.
        PROMPTMILL_WINDOW: '500',
      },
    });
  });
  afterAll(async () => {
    await stack.stop();
    await Promise.all([one.close(), others.close()]);
    await redis.stop();
  });

  const completed = async (id: string): Promise<number> => {
    const batch = await stack.client.withOptions({ maxRetries: 10 }).batches.retrieve(id);
    return batch.request_counts?.completed ?? 0;
  };

  const untilProgress = async (id: string): Promise<void> => {
    const before = await completed(id);
    await expect.poll(() => completed(id), { timeout: recoveryMs }).toBeGreaterThan(before);
  };

  const start = async () => {
    const input = inputOf(count);
    const { id } = await createBatch(stack.client, input);
    await untilBatch(stack.client, id, ({ request_counts: counts }) => (counts?.completed ?? 0) > count / 5);
    return { id, input };
  };

  const finish = async (id: string, input: string, allowedRepeats: number): Promise<void> => {
    const batch = await untilBatch(stack.client.withOptions({ maxRetries: 10 }), id);
    expect(batch.status).toBe('completed');
    await checkBatch(stack, batch, input, { allowedRepeats });
  };

  const callsOf = async ({ url }: RoleProcess): Promise<number> => {
    const metrics = await (await fetch(`${url}/metrics`)).text();
    return Number(/promptmill_calls_total\{.*class="success".*\} (\d+)/.exec(metrics)?.[1] ?? 0);
  };

  it('Redis is killed, and back after 3 s, goes on, and no call is made twice', async () => {
    const { id, input } = await start();
    await redis.kill();
    await delay(3000);
    await redis.restart();
    await untilProgress(id);
    await finish(id, input, 0);
  });

  it.runIf(inLongForm)(
    'everyone’s way to Redis is dead for 8 s, and one worker’s for 2 s more, goes on, and no call is made twice',
    async () => {
      const { id, input } = await start();
      one.set('drop');
      others.set('drop');
      await delay(8000);
      others.set('pass');
      await delay(2000);
      one.set('pass');
      await untilProgress(id);
      // Redis ran all the time, so the locks ran out: the worker that is back first must not take the other's requests.
      await finish(id, input, 0);
    },
  );

  it.runIf(inLongForm)(
    'one worker’s way to Redis is dead for 8 s goes on with the others, and that worker works again',
    async () => {
      const [cutOff] = stack.workers;
      if (!cutOff) throw new Error('no worker');
      const { id, input } = await start();
      // Long calls keep the other worker from ending the batch before this one is back.
      await stack.control({ latency: { kind: 'fixed', ms: 500 } });
      one.set('drop');
      await delay(8000);
      one.set('pass');
      const before = await callsOf(cutOff);
      await expect.poll(() => callsOf(cutOff), { timeout: recoveryMs }).toBeGreaterThan(before);
      await stack.control({ latency: { kind: 'fixed', ms: latencyMs } });
      // The other worker took over the requests whose results this one could not record.
      await finish(id, input, concurrency);
    },
  );

  it('Redis is out of memory keeps its results, goes on when there is memory, and fills no log', async () => {
    const admin = new Redis(redis.url);
    const warnings = async (): Promise<number> => {
      const logs = (await readdir(stack.directory)).filter((name) => name.endsWith('.log'));
      const texts = await Promise.all(logs.map((name) => readFile(join(stack.directory, name), 'utf8')));
      return texts.join('').match(/"level":[45]0/g)?.length ?? 0;
    };
    const { id, input } = await start();
    const warningsBefore = await warnings();
    await admin.config('SET', 'maxmemory', '1');
    const before = await completed(id);
    // The requests in the lanes are still answered and recorded.
    await expect.poll(() => completed(id), { timeout: recoveryMs }).toBeGreaterThan(before + concurrency);
    await delay(2000);
    await admin.config('SET', 'maxmemory', '0');
    await admin.quit();
    await finish(id, input, 0);
    expect((await warnings()) - warningsBefore).toBeLessThan(30);
  });

  it('Redis reaches its maxmemory takes nothing new, says so, and ends within that memory', async () => {
    const admin = new Redis(redis.url);
    const memory = async (): Promise<number> => Number(/used_memory:(\d+)/.exec(await admin.info('memory'))?.[1]);
    // Each of the two fits into its batch's window, and neither into the memory that is left.
    const input = inputOf(35, (i) => `Say ${i} ${'x'.repeat(100_000)}`);
    const room = 3 * 1024 * 1024;
    const file = await stack.client.files.create({
      file: new File([input], 'large.jsonl'),
      purpose: 'batch',
    });
    const create = () =>
      stack.client.batches.create({
        input_file_id: file.id,
        endpoint: '/v1/chat/completions',
        completion_window: '24h',
      });
    const maxmemory = (await memory()) + room;
    await admin.config('SET', 'maxmemory', String(maxmemory));
    const ids = [(await create()).id, (await create()).id];
    const refusal = async (): Promise<unknown> =>
      create().then(
        ({ id }) => void ids.push(id),
        (error: unknown) => error,
      );
    await expect.poll(refusal, { interval: 20 }).toMatchObject({ status: 503, code: 'out_of_memory' });
    // Reading still works.
    await Promise.all(ids.map((id) => stack.client.batches.retrieve(id)));
    for (const id of ids) await finish(id, input, 0);
    await admin.config('SET', 'maxmemory', '0');
    await admin.quit();
  });
});
