import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { createKeys } from '@promptmill/queue';
import { Redis } from 'ioredis';
import { afterAll, beforeAll, describe, expect, inject, it } from 'vitest';
import { callLive, openCall } from '../support/live-client.ts';
import { findKeys } from '../support/redis-keys.ts';
import { type RoleProcess, type Stack, startStack } from '../support/stack.ts';

const concurrency = 30;
/** No call is answered before its caller hangs up. */
const never = '[[sim:latency=600000]]';

let stack: Stack;
let redis: Redis;

beforeAll(async () => {
  redis = new Redis(inject('redisUrl'));
  stack = await startStack({
    redisUrl: inject('redisUrl'),
    env: { WORKER_CONCURRENCY: String(concurrency) },
    files: {
      'promptmill.yaml': `
providers: { simulator: { concurrency: ${concurrency} } }
tenants: { default: { liveCallsAtOnce: 250 } }`,
    },
  });
});
afterAll(async () => {
  await redis.quit();
  await stack.stop();
});

/** How many jobs of the lane are in each state in which a job is not over. */
const openJobs = async (): Promise<number> => {
  const keys = createKeys(stack.prefix);
  const [wait, active, prioritized, delayed] = await Promise.all([
    redis.llen(keys.laneJobs('simulator', 'wait')),
    redis.llen(keys.laneJobs('simulator', 'active')),
    redis.zcard(keys.laneJobs('simulator', 'prioritized')),
    redis.zcard(keys.laneJobs('simulator', 'delayed')),
  ]);
  return wait + active + prioritized + delayed;
};

/** A call whose caller hangs up when `signal` fires. */
const callUntil = (signal: AbortSignal, content = never, stream = false) =>
  openCall(stack.api.url, content, { signal, stream }).catch((error: Error) => error);

const untilInFlight = (count: number) =>
  expect.poll(async () => (await stack.stats()).inFlight, { interval: 10 }).toBe(count);

const metricOf = async ({ url }: RoleProcess, name: string): Promise<number> => {
  const lines = (await (await fetch(`${url}/metrics`)).text()).split('\n');
  return Number(
    lines
      .find((line) => line.startsWith(name))
      ?.split(' ')
      .at(-1) ?? 0,
  );
};

describe('a caller who hangs up', () => {
  it('while the call waits takes it out of the lane, and it is never sent', async () => {
    const [filling, waiting] = [new AbortController(), new AbortController()];
    const before = await stack.stats();
    const calls = Array.from({ length: concurrency }, () => callUntil(filling.signal));
    await untilInFlight(concurrency);
    calls.push(...Array.from({ length: 10 }, () => callUntil(waiting.signal)));
    await expect.poll(openJobs, { interval: 10 }).toBe(concurrency + 10);
    waiting.abort();
    await expect.poll(openJobs, { interval: 10 }).toBe(concurrency);
    // The calls in flight are aborted at the provider.
    filling.abort();
    await untilInFlight(0);
    await expect.poll(openJobs, { interval: 10 }).toBe(0);
    await Promise.all(calls);
    const after = await stack.stats();
    expect(after.calls - before.calls).toBe(concurrency);
    expect(after.aborted - before.aborted).toBe(concurrency);
  });

  it('1,000 times leaves nothing behind', async () => {
    const { api, workers } = stack;
    const processes = [api, ...workers];
    const open = () => Promise.all(processes.map((process) => metricOf(process, 'process_open_fds')));
    const heap = () => Promise.all(processes.map((process) => metricOf(process, 'nodejs_heap_size_used_bytes')));
    await stack.control({ chunkDelayMs: 300 });
    const hangUps: Record<string, () => Promise<void>> = {
      'as soon as the call is sent': async () => {
        const caller = new AbortController();
        const call = callUntil(caller.signal);
        setImmediate(() => setImmediate(() => caller.abort()));
        await call;
      },
      'about when the job is added': async () => {
        await callUntil(AbortSignal.timeout(Math.floor(Math.random() * 20)));
      },
      'while it waits or is in flight': async () => {
        await callUntil(AbortSignal.timeout(100 + Math.floor(Math.random() * 100)));
      },
      'in the middle of a stream': async () => {
        const caller = new AbortController();
        const late = setTimeout(() => caller.abort(), 3000);
        const response = await callUntil(caller.signal, 'a stream of many words '.repeat(10), true);
        clearTimeout(late);
        if (response instanceof Error) return;
        response.on('error', () => {});
        await new Promise<void>((resolve) => {
          response.once('data', resolve).once('error', () => resolve());
        });
        caller.abort();
      },
    };
    const hangUp = async (times: number): Promise<void> => {
      const kinds = Object.values(hangUps);
      let begun = 0;
      const next = async (): Promise<void> => {
        while (begun < times) await kinds[begun++ % kinds.length]?.();
      };
      await Promise.all(Array.from({ length: 100 }, next));
    };
    await hangUp(100);
    await untilInFlight(0);
    const [openBefore, heapBefore] = [await open(), await heap()];
    await hangUp(900);
    await untilInFlight(0);
    await expect.poll(openJobs, { interval: 10 }).toBe(0);

    // Connections to Redis and the provider are kept; those of callers are gone.
    await expect
      .poll(async () => (await open()).map((count, i) => count - (openBefore[i] ?? 0)).filter((more) => more > 20))
      .toEqual([]);
    for (const [i, bytes] of (await heap()).entries()) expect(bytes - (heapBefore[i] ?? 0)).toBeLessThan(40 * 2 ** 20);
    const logs = (await readdir(stack.directory)).filter((name) => name.endsWith('.log'));
    for (const name of logs) {
      const log = await readFile(join(stack.directory, name), 'utf8');
      expect(log).not.toMatch(/MaxListenersExceeded|"level":[56]0/);
    }
    await expect.poll(() => metricOf(api, 'promptmill_live_calls_waiting')).toBe(0);

    // What is left of the calls in Redis is a sample of ended jobs for Bull Board, or runs out by itself.
    const leftForGood = async (): Promise<string[]> => {
      const kept = new Set(await redis.zrange(createKeys(stack.prefix).laneJobs('simulator', 'completed'), '0', '-1'));
      const left = await findKeys(redis, `${stack.prefix}:*live_*`);
      const lasting = await Promise.all(left.map(async (key) => ((await redis.ttl(key)) === -1 ? [key] : [])));
      return lasting.flat().filter((key) => !kept.has(key.slice(key.lastIndexOf(':') + 1)));
    };
    await expect.poll(leftForGood).toEqual([]);

    // No call was made for nobody, and each place is free again.
    const calls = await stack.calls();
    expect(calls.filter(({ aborted }) => !aborted)).toEqual([]);
    // Some streams had begun.
    expect(calls.filter(({ status }) => status === 200).length).toBeGreaterThan(50);
    const answers = await Promise.all(Array.from({ length: 250 }, (_, i) => callLive(stack.api.url, `Hello ${i}`)));
    expect(answers.filter(({ status }) => status !== 200)).toEqual([]);
  });
});
