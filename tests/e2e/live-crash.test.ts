import { afterAll, beforeAll, describe, expect, inject, it } from 'vitest';
import { callLive, contentOf, openCall, readEvents } from '../support/live-client.ts';
import { type Stack, startStack } from '../support/stack.ts';

const callMs = 2000;
/** A worker's death is noticed, and its calls run elsewhere, within this time. */
const recoveryMs = 10_000;
const chunkDelayMs = 250;

let stack: Stack;

beforeAll(async () => {
  stack = await startStack({
    redisUrl: inject('redisUrl'),
    apis: 2,
    workers: 2,
    env: { WORKER_CONCURRENCY: '20', SIMULATOR_CHUNK_DELAY_MS: String(chunkDelayMs) },
    files: { 'promptmill.yaml': 'providers: { simulator: { concurrency: 200 } }' },
  });
});
afterAll(() => stack.stop());

const slow = (name: string): string => `[[sim:latency=${callMs}]] ${name}`;

const untilInFlight = (count: number) =>
  expect.poll(async () => (await stack.stats()).inFlight, { interval: 10 }).toBe(count);

describe('live calls in flight when', () => {
  it('their worker is killed are answered; a stream is whole or says that it broke off', async () => {
    const words = Array.from({ length: 80 }, (_, i) => `word${i}`).join(' ');
    const begun = await Promise.all(
      Array.from({ length: 6 }, async () => {
        const response = await openCall(stack.api.url, words, { stream: true });
        let text = '';
        response.on('data', (chunk: string) => void (text += chunk));
        await new Promise((resolve) => {
          response.once('data', resolve);
        });
        return new Promise<string>((resolve) => {
          response.once('close', () => resolve(text));
        });
      }).map(async (reading) => ({ reading })),
    );
    const prompts = Array.from({ length: 12 }, (_, i) => slow(`plain ${i}`));
    const plain = prompts.map((prompt) => callLive(stack.api.url, prompt));
    const waiting = prompts.slice(0, 6).map((prompt) => callLive(stack.api.url, prompt, { stream: true }));
    await untilInFlight(24);
    const [worker] = stack.workers;
    await worker?.stop('SIGKILL');
    const killedAt = performance.now();
    expect((await Promise.all(plain)).map(contentOf)).toEqual(prompts);
    for (const { text } of await Promise.all(waiting))
      expect(readEvents(text)).toMatchObject({ isWhole: true, error: undefined });
    expect(performance.now() - killedAt).toBeLessThan(recoveryMs + callMs + 2000);

    const streams = (await Promise.all(begun.map(({ reading }) => reading))).map(readEvents);
    const broken = streams.filter(({ error }) => error !== undefined);
    expect(broken.length).toBeGreaterThan(0);
    expect(broken.length).toBeLessThan(6);
    for (const { content, isWhole, error } of streams) {
      expect(words.startsWith(content)).toBe(true);
      expect(isWhole ? content : error).toBe(isWhole ? words : 'incomplete_stream');
    }
    await stack.start('worker', worker?.environment);
  });

  it('their worker is told to stop are answered', async () => {
    const prompts = Array.from({ length: 20 }, (_, i) => slow(`rolling ${i}`));
    const calls = prompts.map((prompt) => callLive(stack.api.url, prompt));
    const streams = prompts.map((prompt) => callLive(stack.api.url, prompt, { stream: true }));
    await untilInFlight(40);
    const [, worker] = stack.workers;
    expect(await worker?.stop()).toBe(0);
    expect((await Promise.all(calls)).map(contentOf)).toEqual(prompts);
    for (const { text } of await Promise.all(streams)) expect(readEvents(text).isWhole).toBe(true);
    await stack.start('worker', worker?.environment);
    // Nothing was called twice.
    expect((await stack.calls()).filter(({ aborted }) => aborted).length).toBeLessThan(24);
  });

  it('their api is told to stop are answered', async () => {
    const [, api] = stack.apis;
    const prompts = Array.from({ length: 20 }, (_, i) => slow(`last ${i}`));
    const calls = prompts.map((prompt) => callLive(api?.url ?? '', prompt));
    const streams = prompts.map((prompt) => callLive(api?.url ?? '', prompt, { stream: true }));
    await untilInFlight(40);
    const stopped = api?.stop();
    expect((await Promise.all(calls)).map(contentOf)).toEqual(prompts);
    for (const { text } of await Promise.all(streams)) expect(readEvents(text).isWhole).toBe(true);
    expect(await stopped).toBe(0);
  });

  it('their api is killed are given up, and those that wait are never sent', async () => {
    const api = await stack.start('api');
    const calls = Array.from({ length: 20 }, () => callLive(api.url, '[[sim:latency=600000]]').catch(String));
    await untilInFlight(20);
    await api.stop('SIGKILL');
    expect(await Promise.all(calls)).toEqual(calls.map(() => expect.any(String)));
    await expect.poll(async () => (await stack.stats()).inFlight, { timeout: 30_000 }).toBe(0);
  });
});
