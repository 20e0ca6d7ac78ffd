import { afterAll, beforeAll, describe, expect, inject, it } from 'vitest';
import { callLive, contentOf, openCall, readEvents } from '../support/live-client.ts';
import { type RoleProcess, type Stack, startStack } from '../support/stack.ts';

const callMs = 2000;
/** A worker's death is noticed, and its calls run elsewhere, within this time. */
const recoveryMs = 10_000;
const chunkDelayMs = 250;

let stack: Stack;
/** Those that run now. */
let workers: readonly RoleProcess[];
let otherApi: RoleProcess;

beforeAll(async () => {
  stack = await startStack({
    redisUrl: inject('redisUrl'),
    apis: 2,
    workers: 2,
    env: { WORKER_CONCURRENCY: '20', SIMULATOR_CHUNK_DELAY_MS: String(chunkDelayMs) },
    files: { 'promptmill.yaml': 'providers: { simulator: { concurrency: 200 } }' },
  });
  workers = stack.workers;
  otherApi = stack.apis[1]!;
});
afterAll(() => stack.stop());

const never = '[[sim:latency=600000]]';
const slow = (name: string): string => `[[sim:latency=${callMs}]] ${name}`;

const untilInFlight = (count: number) =>
  expect.poll(async () => (await stack.stats()).inFlight, { interval: 10 }).toBe(count);

describe('live calls in flight when', () => {
  it('all workers and an api are killed: those of the other api are answered; a stream is whole, or says that it broke off', async () => {
    const abandoned = Array.from({ length: 8 }, () => callLive(otherApi.url, never).catch(String));
    // At 250 ms for each 16 characters the streams outlast whatever the machine needs until the kill.
    const words = Array.from({ length: 240 }, (_, i) => `word${i}`).join(' ');
    const begun = await Promise.all(
      Array.from({ length: 6 }, async () => {
        const response = await openCall(stack.api.url, words, { stream: true });
        let text = '';
        response.on('data', (chunk: string) => void (text += chunk));
        // Before the first event there may be comments.
        await expect.poll(() => text, { interval: 10 }).toContain('data:');
        const reading = new Promise<string>((resolve) => {
          response.once('close', () => resolve(text));
        });
        return { reading };
      }),
    );
    const prompts = Array.from({ length: 12 }, (_, i) => slow(`plain ${i}`));
    const plain = prompts.map((prompt) => callLive(stack.api.url, prompt));
    const waiting = prompts.slice(0, 6).map((prompt) => callLive(stack.api.url, prompt, { stream: true }));
    await untilInFlight(8 + 24);
    const killed = [...workers, otherApi];
    await Promise.all(killed.map((process) => process.stop('SIGKILL')));
    const killedAt = performance.now();
    const started = Promise.all(killed.map(({ role, environment }) => stack.start(role, environment)));
    expect(await Promise.all(abandoned)).toEqual(abandoned.map(() => expect.any(String)));
    expect((await Promise.all(plain)).map(contentOf)).toEqual(prompts);
    for (const { text } of await Promise.all(waiting))
      expect(readEvents(text)).toMatchObject({ isWhole: true, error: undefined });
    expect(performance.now() - killedAt).toBeLessThan(recoveryMs + callMs + 2000);

    for (const { content, isWhole, error } of (await Promise.all(begun.map(({ reading }) => reading))).map(
      readEvents,
    )) {
      expect([isWhole, error]).toEqual([false, 'incomplete_stream']);
      expect(words.startsWith(content)).toBe(true);
    }
    // What was called for callers of the killed api is given up.
    await expect.poll(async () => (await stack.stats()).inFlight, { timeout: 20_000 }).toBe(0);
    workers = (await started).filter(({ role }) => role === 'worker');
    otherApi = (await started).find(({ role }) => role === 'api')!;
  });

  it('their worker is told to stop are answered', async () => {
    const prompts = Array.from({ length: 20 }, (_, i) => slow(`rolling ${i}`));
    const calls = prompts.map((prompt) => callLive(stack.api.url, prompt));
    const streams = prompts.map((prompt) => callLive(stack.api.url, prompt, { stream: true }));
    await untilInFlight(40);
    const [, worker] = workers;
    const { calls: before } = await stack.stats();
    expect(await worker?.stop()).toBe(0);
    expect((await Promise.all(calls)).map(contentOf)).toEqual(prompts);
    for (const { text } of await Promise.all(streams)) expect(readEvents(text).isWhole).toBe(true);
    await stack.start('worker', worker?.environment);
    // Nothing was called twice.
    expect((await stack.stats()).calls).toBe(before);
  });

  it('their api is told to stop are answered', async () => {
    const prompts = Array.from({ length: 20 }, (_, i) => slow(`last ${i}`));
    const calls = prompts.map((prompt) => callLive(otherApi.url, prompt));
    const streams = prompts.map((prompt) => callLive(otherApi.url, prompt, { stream: true }));
    await untilInFlight(40);
    const stopped = otherApi.stop();
    expect((await Promise.all(calls)).map(contentOf)).toEqual(prompts);
    for (const { text } of await Promise.all(streams)) expect(readEvents(text).isWhole).toBe(true);
    expect(await stopped).toBe(0);
  });
});
