import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { callLive, contentOf } from '../support/live-client.ts';
import { type DurableRedis, startDurableRedis } from '../support/local-redis.ts';
import { type Stack, startStack } from '../support/stack.ts';
import { startTcpProxy, type TcpProxy } from '../support/tcp-proxy.ts';

const concurrency = 10;
const awayMs = 3000;
const callMs = 1500;
/** Work goes on within this time after Redis is back. */
const recoveryMs = 10_000;
/** Callers are told within 2 s, and on a busy machine a little later. */
const toldMs = 2500;

let redis: DurableRedis;
let proxy: TcpProxy;
let stack: Stack;

beforeAll(async () => {
  redis = await startDurableRedis();
  proxy = await startTcpProxy(redis.url);
  stack = await startStack({
    redisUrl: proxy.url,
    workers: 2,
    env: { WORKER_CONCURRENCY: String(concurrency) },
    files: { 'promptmill.yaml': `providers: { simulator: { concurrency: ${concurrency} } }` },
  });
});
afterAll(async () => {
  await stack.stop();
  await proxy.close();
  await redis.stop();
});

/** Twice as many calls as may be in flight, which have begun. */
const begin = async (name: string) => {
  const prompts = Array.from({ length: 2 * concurrency }, (_, i) => `[[sim:latency=${callMs}]] ${name} ${i}`);
  const calls = Promise.all(prompts.map((prompt) => callLive(stack.api.url, prompt)));
  await expect.poll(async () => (await stack.stats()).inFlight, { interval: 10 }).toBe(concurrency);
  return { prompts, calls };
};

/** Callers who come while Redis is away are told soon. */
const expectRefusals = async (): Promise<void> => {
  for (const reply of await Promise.all(Array.from({ length: 5 }, () => callLive(stack.api.url, 'too late')))) {
    expect(reply.status).toBe(503);
    expect(reply.tookMs).toBeLessThan(toldMs);
  }
};

describe('live calls under way when', () => {
  it('Redis is killed, and back after 3 s, are answered, and none is made twice', async () => {
    const { prompts, calls } = await begin('killed');
    const { calls: before } = await stack.stats();
    await redis.kill();
    await Promise.all([delay(awayMs), expectRefusals()]);
    await redis.restart();
    expect((await calls).map(contentOf)).toEqual(prompts);
    expect((await stack.stats()).calls - before).toBe(concurrency);
  });

  it('the way to Redis is dead for 3 s are answered, and none is made twice', async () => {
    const { prompts, calls } = await begin('dead');
    const { calls: before } = await stack.stats();
    proxy.set('drop');
    await Promise.all([delay(awayMs), expectRefusals()]);
    proxy.set('pass');
    expect((await calls).map(contentOf)).toEqual(prompts);
    expect((await stack.stats()).calls - before).toBe(concurrency);
  });

  it('Redis comes back without its data are answered', async () => {
    const { prompts, calls } = await begin('lost');
    await redis.kill();
    await rm(join(redis.directory, 'appendonlydir'), { recursive: true });
    await redis.restart();
    const backAt = performance.now();
    expect((await calls).map(contentOf)).toEqual(prompts);
    expect(performance.now() - backAt).toBeLessThan(recoveryMs + 2 * callMs);
  });
});
