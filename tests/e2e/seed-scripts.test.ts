import { setTimeout as sleep } from 'node:timers/promises';
import OpenAI from 'openai';
import { afterAll, beforeAll, describe, inject, it } from 'vitest';
import { createPythonClient, type PythonClient } from '../support/python-openai.ts';
import { inLongForm } from '../support/long-form.ts';
import { type Stack, startStack } from '../support/stack.ts';

/**
 * The scripts that people have today, with their own structure. Only the base URL and the model are changed. The echo
 * model answers with the prompt, so each answer shows to which call it belongs.
 */

const perSecond = 100;
const perSecondOfMany = 1500;

const configuration = `
providers:
  simulator:
    concurrency: 40
    requestsPerSecond: ${perSecond}
    models:
      reverse: { concurrency: 500, requestsPerSecond: ${perSecondOfMany} }
retry: { attempts: 6, baseDelayMs: 50, maxDelayMs: 500 }
`;

const strictly = (requestsPerSecond: number) => ({ requestsPerMinute: 60 * requestsPerSecond, windowMs: 1000 });
/** Of 100 calls 5 meet a fault. A 429 holds the whole lane for a moment: for many calls there are fewer of them. */
const faultsWith = (share429: number) => ({
  errorRate: share429,
  errorStatus: 429,
  errorHeaders: { 'retry-after-ms': '20' },
  faults: { 500: (0.05 - share429) / 2, 503: (0.05 - share429) / 4, reset: (0.05 - share429) / 4 },
});

let stack: Stack;
/** `AsyncOpenAI(base_url=…)`, which `xai_sdk`'s `AsyncClient` equals in these scripts. */
let client: PythonClient;

beforeAll(async () => {
  stack = await startStack({
    redisUrl: inject('redisUrl'),
    workers: 2,
    env: { WORKER_CONCURRENCY: '300' },
    files: { 'promptmill.yaml': configuration },
  });
  client = createPythonClient(`${stack.api.url}/v1`);
  await stack.control({ latency: { kind: 'fixed', ms: 100 }, limits: strictly(perSecond), ...faultsWith(0.01) });
});
afterAll(async () => {
  client.close();
  await stack.stop();
});

const messages = (content: string) => [{ role: 'user', content }];
const contentOf = ({ choices }: Awaited<ReturnType<PythonClient['create']>>): string => choices[0].message.content;

const getCompletion = async (prompt: string, more: object = {}): Promise<string> =>
  contentOf(await client.create({ messages: messages(prompt), model: 'simulator/echo', ...more }));

/** `asyncio.Semaphore` */
const createSemaphore = (places: number) => {
  const waiting: (() => void)[] = [];
  let free = places;
  return async <T>(work: () => Promise<T>): Promise<T> => {
    if (free > 0) free--;
    else
      await new Promise<void>((resolve) => {
        waiting.push(resolve);
      });
    try {
      return await work();
    } finally {
      const next = waiting.shift();
      if (next) next();
      else free++;
    }
  };
};

const range = (count: number, promptOf: (i: number) => string): string[] =>
  Array.from({ length: count }, (_, i) => promptOf(i));

describe.concurrent('a script with another base URL gets all its answers, in order:', () => {
  it('a semaphore of 2', async ({ expect }) => {
    const semaphore = createSemaphore(2);
    const requests = ['Tell me a joke', 'Write a funny haiku', 'Generate a funny X post', 'Say something unhinged'];
    expect(await Promise.all(requests.map((request) => semaphore(() => getCompletion(request))))).toEqual(requests);
  });

  it('asyncio.gather', async ({ expect }) => {
    const prompts = ['Python', 'JavaScript', 'Rust', 'Go', 'TypeScript'].map((name) => `What is ${name}?`);
    expect(await Promise.all(prompts.map((prompt) => getCompletion(prompt)))).toEqual(prompts);
  });

  it('the AsyncClient of xai_sdk', async ({ expect }) => {
    const items = range(20, (i) => `Process: item ${i}`);
    expect(await Promise.all(items.map((item) => getCompletion(item)))).toEqual(items);
  });

  it('a semaphore of 10, with return_exceptions', async ({ expect }) => {
    const semaphore = createSemaphore(10);
    const prompts = range(100, (i) => `Question ${i}`);
    const results = await Promise.allSettled(prompts.map((prompt) => semaphore(() => getCompletion(prompt))));
    expect(results).toEqual(prompts.map((value) => ({ status: 'fulfilled', value })));
  });

  it('chunks of 10, a second apart', async ({ expect }) => {
    const items = range(30, (i) => `Chunked ${i}`);
    const results: string[] = [];
    for (let i = 0; i < items.length; i += 10) {
      results.push(...(await Promise.all(items.slice(i, i + 10).map((item) => getCompletion(item)))));
      await sleep(1000);
    }
    expect(results).toEqual(items);
  });

  it('streaming', async ({ expect }) => {
    const streamCompletion = async (prompt: string): Promise<string> => {
      let whole = '';
      for await (const chunk of client.stream({ messages: messages(prompt), model: 'simulator/echo' }))
        whole += chunk.choices[0].delta.content ?? '';
      return whole;
    };
    const prompts = range(20, (i) => `Stream ${i} to me, word by word`);
    expect(await Promise.all(prompts.map(streamCompletion))).toEqual(prompts);
  });

  it('retries of its own, which it does not need', async ({ expect }) => {
    const seen: string[] = [];
    const robustRequest = async (prompt: string, maxRetries = 3): Promise<string | undefined> => {
      for (let attempt = 0; attempt < maxRetries; attempt++)
        try {
          return await getCompletion(prompt);
        } catch (error) {
          seen.push(String(error));
          if (String(error).includes('429')) await sleep(2 ** attempt * 1000);
          else if (attempt === maxRetries - 1) throw error;
          else await sleep(1000);
        }
      return undefined;
    };
    const prompts = range(30, (i) => `Robust ${i}`);
    expect(await Promise.all(prompts.map((prompt) => robustRequest(prompt)))).toEqual(prompts);
    expect(seen).toEqual([]);
  });

  it('asyncio.wait_for with 30 s', async ({ expect }) => {
    const prompts = range(10, (i) => `Within 30 s ${i}`);
    const ask = async (prompt: string) =>
      contentOf(
        await client.create({ messages: messages(prompt), model: 'simulator/echo' }, AbortSignal.timeout(30_000)),
      );
    expect(await Promise.all(prompts.map(ask))).toEqual(prompts);
  });

  it('a semaphore of 20, with max_tokens', async ({ expect }) => {
    const semaphore = createSemaphore(20);
    const prompts = range(100, (i) => `Summarize concept #${i}`);
    const processBatch = prompts.map((prompt) => semaphore(() => getCompletion(prompt, { max_tokens: 500 })));
    expect(await Promise.all(processBatch)).toEqual(prompts);
  });

  it('a token bucket of 10 a second', async ({ expect }) => {
    const rate = 10;
    let tokens = rate;
    let lastRefillMs = performance.now();
    const lock = createSemaphore(1);
    const acquire = () =>
      lock(async () => {
        const nowMs = performance.now();
        tokens = Math.min(rate, tokens + ((nowMs - lastRefillMs) / 1000) * rate);
        lastRefillMs = nowMs;
        if (tokens < 1) {
          await sleep(((1 - tokens) / rate) * 1000);
          tokens = 0;
        } else tokens -= 1;
      });
    const prompts = range(40, (i) => `Limited ${i}`);
    const call = async (prompt: string): Promise<string> => {
      await acquire();
      return getCompletion(prompt, { max_tokens: 500 });
    };
    expect(await Promise.all(prompts.map(call))).toEqual(prompts);
  });

  it('a progress bar over a semaphore of 20', async ({ expect }) => {
    const semaphore = createSemaphore(20);
    const prompts = range(50, (i) => `With progress ${i}`);
    let done = 0;
    const task = async (prompt: string): Promise<string> => {
      const answer = await semaphore(() => getCompletion(prompt, { max_tokens: 500 }));
      done++;
      return answer;
    };
    expect(await Promise.all(prompts.map(task))).toEqual(prompts);
    expect(done).toBe(prompts.length);
  });

  it('Promise.all over the official SDK, streamed and not', async ({ expect }) => {
    const openai = new OpenAI({ baseURL: `${stack.api.url}/v1`, apiKey: 'none', maxRetries: 0 });
    const prompts = range(30, (i) => `From TypeScript ${i}`);
    const plain = prompts.map(async (prompt) => {
      const { choices } = await openai.chat.completions.create({
        model: 'simulator/echo',
        messages: [{ role: 'user', content: prompt }],
      });
      return choices[0]?.message.content;
    });
    const streamed = prompts.map(async (prompt) => {
      const stream = await openai.chat.completions.create({
        model: 'simulator/echo',
        messages: [{ role: 'user', content: prompt }],
        stream: true,
      });
      let whole = '';
      for await (const { choices } of stream) whole += choices[0]?.delta.content ?? '';
      return whole;
    });
    expect(await Promise.all([...plain, ...streamed])).toEqual([...prompts, ...prompts]);
  });
});

describe('the provider', () => {
  it('saw no call over its limit, and many faults', async ({ expect }) => {
    const { refused, statuses } = await stack.stats();
    expect(refused).toEqual({ requests: 0, tokens: 0, 'in-flight': 0 });
    expect(Object.keys(statuses)).toEqual(expect.arrayContaining(['0', '200', '429', '500', '503']));
  });
});

describe('Promise.all over thousands of prompts', () => {
  it('gets all answers in order, and no call is over the limit', async ({ expect }) => {
    await stack.control({ limits: strictly(perSecondOfMany), ...faultsWith(0.0005) });
    const openai = new OpenAI({ baseURL: `${stack.api.url}/v1`, apiKey: 'none', maxRetries: 0 });
    const prompts = range(inLongForm ? 5000 : 1000, (i) => `Prompt ${i}`);
    const results = await Promise.all(
      prompts.map((prompt) =>
        openai.chat.completions.create({
          model: 'simulator/reverse',
          messages: [{ role: 'user', content: prompt }],
        }),
      ),
    );
    expect(results.map((r) => r.choices[0]?.message.content)).toEqual(
      prompts.map((prompt) => Array.from(prompt).toReversed().join('')),
    );
    expect((await stack.stats()).refused).toEqual({ requests: 0, tokens: 0, 'in-flight': 0 });
  });
});
