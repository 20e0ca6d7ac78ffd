import { createKeys } from '@promptmill/queue';
import { Redis } from 'ioredis';
import OpenAI from 'openai';
import { afterAll, beforeAll, describe, inject, it } from 'vitest';
import { callLive, contentOf, readEvents } from '../support/live-client.ts';
import { type Stack, startStack } from '../support/stack.ts';

/** Callers are told within this time. */
const atOnceMs = 2000;

const configuration = `
providers:
  simulator:
    concurrency: 2
    probeIntervalMs: 1500
    models:
      held: { concurrency: 1 }
      refused: { concurrency: 1 }
      unpaid: { concurrency: 1 }
      backed: { concurrency: 1, fallback: [simulator/echo] }
      busy: { concurrency: 1 }
`;

let stack: Stack;
let redis: Redis;

beforeAll(async () => {
  redis = new Redis(inject('redisUrl'));
  stack = await startStack({ redisUrl: inject('redisUrl'), files: { 'promptmill.yaml': configuration } });
});
afterAll(async () => {
  await redis.quit();
  await stack.stop();
});

const call = (model: string, content: string) => callLive(stack.api.url, content, { model: `simulator/${model}` });
const calls = (model: string, content: string, count: number) =>
  Promise.all(Array.from({ length: count }, (_, i) => call(model, `${content} ${i}`)));
const codeOf = (text: string): string | null => (JSON.parse(text) as { error: { code: string | null } }).error.code;

describe.concurrent('a lane that takes no call', () => {
  it('for hours fails its waiting calls at once, and takes calls again when it opens', async ({ expect }) => {
    const replies = [
      ...(await calls('held', '[[sim:status=429;retry-after=7200]]', 10)),
      await call('held', 'one more, which comes later'),
    ];
    for (const { status, headers, text, tookMs } of replies) {
      expect([status, codeOf(text)]).toEqual([503, 'lane_held']);
      expect(Number(headers['retry-after'])).toBeGreaterThan(7100);
      expect(headers['x-should-retry']).toBe('false');
      expect(headers['x-promptmill-wait-ms']).toMatch(/^\d+$/);
      expect(tookMs).toBeLessThan(atOnceMs);
    }
    const state = createKeys(stack.prefix).laneState('simulator.held');
    expect(await redis.hexists(state, 'heldUntil')).toBe(1);
    await redis.hset(state, 'heldUntil', Date.now());
    expect((await call('held', 'Hello')).status).toBe(200);
  });

  it.for([
    ['refused', '[[sim:status=401]]', 401],
    ['unpaid', '[[sim:fault=insufficient_quota]]', 429],
  ] as const)(
    'until someone acts (%s) answers at once, and takes calls again when someone has',
    async ([model, fault, status], { expect }) => {
      const replies = await calls(model, fault, 10);
      expect(replies.map((reply) => reply.status)).toContain(status);
      expect(replies.filter((reply) => ![status, 503].includes(reply.status))).toEqual([]);
      for (const { tookMs } of replies) expect(tookMs).toBeLessThan(atOnceMs);
      await expect.poll(async () => (await call(model, 'Hello')).status, { interval: 100 }).toBe(200);
    },
  );

  it('leaves its calls to their fallback', async ({ expect }) => {
    const first = await calls('backed', '[[sim:fault=insufficient_quota;times=1]]', 1);
    const later = await calls('backed', 'Hello', 20);
    for (const { status, headers, text } of [...first, ...later]) {
      expect(status, text).toBe(200);
      expect(headers['x-promptmill-fallback-model']).toBe('simulator/echo');
    }
  });
});

describe('a stream that waits', () => {
  it('tells its place and how long about it takes, and its reader is not disturbed', async ({ expect }) => {
    const slow = calls('busy', '[[sim:latency=600]]', 13);
    const content = 'one two three four';
    const streams = Promise.all([
      callLive(stack.api.url, content, { model: 'simulator/busy', stream: true }),
      (async () => {
        const openai = new OpenAI({ baseURL: `${stack.api.url}/v1`, apiKey: 'none', maxRetries: 0 });
        const stream = await openai.chat.completions.create({
          model: 'simulator/busy',
          messages: [{ role: 'user', content }],
          stream: true,
        });
        let whole = '';
        for await (const { choices } of stream) whole += choices[0]?.delta.content ?? '';
        return whole;
      })(),
    ]);
    const [raw, whole] = await streams;
    await slow;
    expect(raw.text).toMatch(/^: queued \d+, about \d+ s\n\n/);
    expect(Number(/about (\d+) s/.exec(raw.text)?.[1])).toBeLessThan(30);
    expect(Number(raw.headers['x-promptmill-wait-ms'])).toBeGreaterThan(4000);
    expect(readEvents(raw.text)).toMatchObject({ isWhole: true, error: undefined });
    expect(whole).toBe(readEvents(raw.text).content);
    expect(contentOf((await slow)[0]!)).toBeDefined();
  });
});
