import { setTimeout as delay } from 'node:timers/promises';
import type { CallLogEntry } from '@promptmill/simulator';
import type OpenAI from 'openai';
import { afterAll, beforeAll, describe, expect, inject, it } from 'vitest';
import { checkBatch, createBatch, inputOf, untilBatch } from '../support/batches.ts';
import { type RoleProcess, type Stack, startStack } from '../support/stack.ts';

/** No call begins later than this after the api has answered a pause. */
const graceMs = 2000;
/** How long the test then waits for a call that should not come. */
const quietMs = 1500;

describe('a paused batch', () => {
  let stack: Stack;
  let client: OpenAI;

  beforeAll(async () => {
    stack = await startStack({
      redisUrl: inject('redisUrl'),
      workers: 2,
      env: { WORKER_CONCURRENCY: '10', SIMULATOR_LATENCY_MS: '100' },
    });
    client = stack.client;
  });
  afterAll(() => stack.stop());

  /** Pauses a batch, and returns the time of the answer in epoch milliseconds. */
  const pause = async (id: string): Promise<number> => {
    await client.post(`/batches/${id}/pause`);
    return Date.now();
  };
  const resume = async (id: string): Promise<number> => {
    const resumedAt = Date.now();
    await client.post(`/batches/${id}/resume`);
    return resumedAt;
  };

  const callsOf = async (id: string): Promise<CallLogEntry[]> =>
    (await stack.calls()).filter(({ key }) => key?.startsWith(id));
  const callsBetween = async (id: string, from: number, to: number): Promise<CallLogEntry[]> =>
    (await callsOf(id)).filter(({ at }) => at > from && at < to);

  const untilDone = (id: string, count: number) =>
    untilBatch(client, id, ({ request_counts: counts }) => (counts?.completed ?? 0) >= count);

  const startAgain = async (killed: readonly RoleProcess[]): Promise<void> => {
    await Promise.all(killed.map((role) => role.stop('SIGKILL')));
    const started = await Promise.all(killed.map(({ role }) => stack.start(role)));
    const api = started.find(({ role }) => role === 'api');
    client = stack.client.withOptions({ baseURL: `${api?.url}/v1` });
  };

  it('makes no call until it is resumed, even when every role is killed, and then goes on where it was', async () => {
    const input = inputOf(600);
    const { id } = await createBatch(client, input);
    await untilDone(id, 100);
    const pausedAt = await pause(id);
    await delay(graceMs + quietMs);
    const { request_counts: counts } = await client.batches.retrieve(id);
    // The calls in flight have ended, and their results are counted.
    expect(counts?.completed).toBe((await callsOf(id)).length);

    await startAgain([stack.api, ...stack.workers, ...stack.collectors]);
    const other = inputOf(100);
    const otherBatch = await untilBatch(client, (await createBatch(client, other)).id);
    await checkBatch({ ...stack, client }, otherBatch, other);
    expect(await client.batches.retrieve(id)).toMatchObject({
      status: 'in_progress',
      request_counts: counts,
      promptmill: { paused_at: expect.any(Number) },
    });

    const resumedAt = await resume(id);
    const batch = await untilBatch(client, id);
    expect(batch).toMatchObject({ status: 'completed', promptmill: { paused_at: null } });
    await checkBatch({ ...stack, client }, batch, input);
    expect(await callsBetween(id, pausedAt + graceMs, resumedAt)).toEqual([]);
  });

  it('makes no call that waited for a held lane', async () => {
    const input = inputOf(30, (i) => (i === 5 ? '[[sim:status=429;retry-after=3;times=1]]' : `Say ${i}`));
    const { id } = await createBatch(client, input);
    await untilBatch(
      client,
      id,
      (batch) => (batch as unknown as { promptmill: { waiting_for: unknown[] } }).promptmill.waiting_for.length > 0,
    );
    const pausedAt = await pause(id);
    await delay(graceMs + quietMs);
    const resumedAt = await resume(id);
    const batch = await untilBatch(client, id);
    await checkBatch({ ...stack, client }, batch, input, { allowedRetries: 1 });
    expect(await callsBetween(id, pausedAt + graceMs, resumedAt)).toEqual([]);
  });

  it('can be cancelled', async () => {
    const input = inputOf(500);
    const { id } = await createBatch(client, input);
    await untilDone(id, 20);
    await pause(id);
    await client.batches.cancel(id);
    const batch = await untilBatch(client, id);
    expect(batch).toMatchObject({ status: 'cancelled', promptmill: { paused_at: null } });
    await checkBatch({ ...stack, client }, batch, input);
  });
});
