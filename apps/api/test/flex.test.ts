import {
  type Batch,
  buildLanes,
  buildProviders,
  createTenants,
  fileConfig,
  jobIdOf,
  newBatchId,
} from '@promptmill/core';
import {
  type BatchSnapshot,
  createDispatchedRequests,
  createLaneTurns,
  createResultRecorder,
  openLaneQueues,
} from '@promptmill/queue';
import type OpenAI from 'openai';
import { afterAll, beforeAll, describe, expect, inject, it } from 'vitest';
import { createAddRequests } from '../src/dispatch/add-requests.ts';
import { createStepUp } from '../src/dispatch/step-up.ts';
import { createFindLostRequests } from '../src/recovery/find-lost-requests.ts';
import { startTestApi, type TestApi } from './support/test-api.ts';

const config = {
  providers: {
    simulator: { flex: {}, models: { echo: { prices: { input: 2, output: 4 } }, patient: { tiers: ['flex'] } } },
    xai: {},
  },
};
const lanes = buildLanes(buildProviders(fileConfig.parse(config), {}));

let api: TestApi;
let queues: ReturnType<typeof openLaneQueues>;

beforeAll(async () => {
  api = await startTestApi({ redisUrl: inject('redisUrl'), configFile: JSON.stringify(config) });
  queues = openLaneQueues(api.redis, api.keys, () => {});
});
afterAll(async () => {
  await queues.close();
  await api.close();
});

const post = async (route: string, model: string, promptmill: object) => {
  const body = JSON.stringify({ model, prompts: ['one', 'two'], params: { max_tokens: 10 }, promptmill });
  const answer = await api.request(route, { method: 'POST', headers: { 'content-type': 'application/json' }, body });
  return { status: answer.status, body: (await answer.json()) as Record<string, never> };
};

describe('a batch that asks for flex', () => {
  it('has its requests in the flex lane, with the tier in each body', async () => {
    const { body } = await post('/v1/batches', 'simulator/echo', { tier: 'flex' });
    const { id, promptmill } = body as unknown as OpenAI.Batch & { promptmill: object };
    expect(promptmill).toMatchObject({ tier: 'flex', tiers: { flex: { answers: 0 }, standard: { answers: 0 } } });
    const jobOf = () => queues.of('simulator.flex').getJob(jobIdOf(id, 1));
    await expect.poll(jobOf).toBeDefined();
    expect((await jobOf())?.data).toMatchObject({
      body: { model: 'echo', service_tier: 'flex' },
      fallback: { models: ['simulator/echo'] },
    });
  });

  it('is refused where its model has no flex, and so is its estimate', async () => {
    const refused = { error: { code: 'tier_not_available', param: 'promptmill.tier' } };
    for (const route of ['/v1/batches', '/v1/batches/estimate'])
      expect(await post(route, 'xai/grok', { tier: 'flex' })).toMatchObject({ status: 400, body: refused });
    expect(await post('/v1/batches', 'xai/grok', { tier: 'standard' })).toMatchObject({ status: 200 });
  });

  it('is estimated at the price of flex, and at most at that of standard', async () => {
    const costOf = async (tier: string) => {
      const { body } = await post('/v1/batches/estimate', 'simulator/echo', { tier });
      return (body as unknown as { cost: { low: number; high: number } }).cost;
    };
    const flex = await costOf('flex');
    const standard = await costOf('standard');
    expect(flex.low).toBeCloseTo(standard.low / 2, 12);
    expect(flex.high).toBe(standard.high);
  });
});

describe('a step up', () => {
  const createdAt = 1_795_000_000;
  const windowSeconds = 3600;

  /** A batch of 40 requests, 30 of which are in the flex lane. */
  const start = async (model = 'simulator/echo') => {
    const tenants = createTenants({});
    const turns = createLaneTurns(api.redis, api.keys);
    const retry = { attempts: 3, baseDelayMs: 1, maxDelayMs: 1 };
    const requests = createDispatchedRequests(api.redis, api.keys);
    const recorder = createResultRecorder(api.redis, api.keys);
    const batch = {
      id: newBatchId(),
      tenant: 'alice',
      tier: 'flex',
      createdAt,
      expiresAt: createdAt + windowSeconds,
      total: 40,
      completed: 0,
      failed: 0,
    } as Batch;
    const add = createAddRequests({ lanes, queueOf: queues.of, turns, tenants, retry, recorder });
    const { positions } = await add(
      batch,
      Array.from({ length: 30 }, (_, index) => ({
        index,
        request: { customId: `c${index}`, url: '/v1/chat/completions', body: { model } },
        bytes: 10,
        nextOffset: 0,
        nextLine: 0,
      })),
      {},
    );
    let nowMs = createdAt * 1000;
    const moved: number[] = [];
    const stepUp = createStepUp({
      lanes,
      queueOf: queues.of,
      turns,
      tenants,
      requests,
      retry,
      onMoved: (_, count) => moved.push(count),
      now: () => nowMs,
    });
    const state = { dispatched: 30, outstanding: 30, positions } as unknown as BatchSnapshot['state'];
    return {
      batch,
      moved,
      /** Looks once a second for some seconds. */
      look: async (fromSeconds: number, seconds: number, more: Partial<Batch> = {}) => {
        for (let s = 0; s < seconds; s++) {
          nowMs = (createdAt + fromSeconds + s) * 1000;
          await stepUp({ batch: { ...batch, ...more }, state });
        }
      },
      inLane: async (lane: string) => {
        const jobs = await queues.of(lane).getJobs(['prioritized', 'waiting'], 0, -1, true);
        return jobs.filter(({ data }) => data.batchId === batch.id).map(({ data }) => data);
      },
    };
  };

  it('moves as many as flex does not answer in time, the last first, and none at the start', async () => {
    const { look, inLane, moved } = await start();
    await look(0, 170);
    expect(moved).toEqual([]);
    // 40 requests in the 2,820 s that are left until the deadline is near: one in 70 s.
    await look(180, 150);
    const standard = await inLane('simulator');
    expect(new Set(standard.map(({ index }) => index))).toEqual(new Set([28, 29]));
    expect(standard[0]).toMatchObject({ body: { model: 'echo' }, tierFrom: 'flex' });
    expect(standard[0]?.body).not.toHaveProperty('service_tier');
    expect(standard[0]).not.toHaveProperty('fallback');
    expect(await inLane('simulator.flex')).toHaveLength(28);
  });

  it('moves none while flex is fast enough', async () => {
    const { look, moved } = await start();
    for (let s = 0; s < 600; s += 10) await look(s, 1, { completed: s / 40, flex: { answers: s / 40, nanoUsd: 0 } });
    expect(moved).toEqual([]);
  });

  it('moves no request whose model is for flex alone, though others in its lane may step up', async () => {
    const { look, inLane, moved } = await start('simulator/patient');
    await look(3000, 2);
    expect(moved).toEqual([]);
    expect(await inLane('simulator.flex')).toHaveLength(30);
  });

  it('is no loss of a request; one whose job is in neither lane is lost', async () => {
    const { look, batch } = await start();
    await look(3000, 2);
    await queues.of('simulator').remove(jobIdOf(batch.id, 3));
    const requests = createDispatchedRequests(api.redis, api.keys);
    const findLost = createFindLostRequests({ lanes, queueOf: queues.of, requests });
    expect(await findLost(batch.id, [2, 3, 4], ['simulator.flex'])).toEqual([3]);
  });

  it('leaves what a worker has, and moves all others once the deadline is near', async () => {
    const { look, inLane, batch } = await start();
    const lock = `${queues.of('simulator.flex').toKey(jobIdOf(batch.id, 29))}:lock`;
    await api.redis.set(lock, 'a worker');
    await look(3000, 2);
    expect(await inLane('simulator')).toHaveLength(29);
    expect((await inLane('simulator.flex')).map(({ index }) => index)).toEqual([29]);
  });
});
