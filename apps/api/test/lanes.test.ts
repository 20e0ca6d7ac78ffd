import { createLaneControl, type LaneControl } from '@promptmill/queue';
import { afterAll, beforeAll, describe, expect, inject, it } from 'vitest';
import { adminKey, board, keys, startTestApi, type TestApi } from './support/test-api.ts';

interface Lane {
  readonly id: string;
  readonly has_key: boolean;
  readonly limits: object;
  readonly deployments: readonly object[];
  readonly last_errors: readonly { readonly reason: string; readonly at: number }[];
}

const unlimited = {
  concurrency: null,
  requests_per_minute: null,
  requests_per_second: null,
  tokens_per_minute: null,
};
const log: Readonly<Record<string, unknown>>[] = [];
let api: TestApi;
let control: LaneControl;

beforeAll(async () => {
  api = await startTestApi({
    redisUrl: inject('redisUrl'),
    env: { PROMPTMILL_ADMIN_KEY: adminKey, LOG_LEVEL: 'info' },
    configFile: `
providers:
  simulator: { concurrency: 20, requestsPerMinute: 600 }
  pool:
    baseUrl: http://127.0.0.1:9/v1
    requestsPerMinute: 900
    deployments: { east: { concurrency: 3 }, west: { apiKeyEnv: WEST_API_KEY, requestsPerMinute: 500 } }
`,
    onLog: (text) => log.push(JSON.parse(text) as (typeof log)[number]),
  });
  control = createLaneControl(api.redis, api.keys, 'simulator');
});
afterAll(() => api.close());

/** As a worker does that starts with the same configuration. */
const openAsWorker = (hasKey = true) =>
  control.setLimits({
    limits: { concurrency: 20, requests: { count: 600, windowMs: 60_000 } },
    startWidth: 50,
    probeIntervalMs: 1000,
    hasKey,
  });

const listLanes = async (): Promise<Lane[]> =>
  ((await (await api.request('/v1/lanes')).json()) as { data: Lane[] }).data;
const simulator = async (): Promise<Lane | undefined> => (await listLanes()).find(({ id }) => id === 'simulator');

const change = async (body: object, { key = adminKey, lane = 'simulator' } = {}) => {
  const response = await api.request(`/v1/admin/lanes/${lane}`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', authorization: `Bearer ${key}` },
    body: JSON.stringify(body),
  });
  return { status: response.status, body: (await response.json()) as Record<string, never> };
};

const boardLanes = async (): Promise<string[]> => {
  const headers = { authorization: `Basic ${btoa(`${board.user}:${board.password}`)}` };
  const answer = await fetch(`${api.url}/admin/queues/api/queues`, { headers });
  const { queues } = (await answer.json()) as { queues: { name: string; displayName?: string }[] };
  return queues.filter(({ displayName }) => displayName?.startsWith('lane ')).map(({ name }) => name);
};

describe('GET /v1/lanes', () => {
  it('tells each lane’s limits, also before a worker has opened it', async () => {
    const configured = { ...unlimited, concurrency: 20, requests_per_minute: 600 };
    expect(await simulator()).toMatchObject({
      has_key: true,
      limits: configured,
      configured_limits: configured,
      tokens_this_minute: null,
      last_errors: [],
    });
  });

  it('tells codes and times of errors, and nothing of whose requests they met', async () => {
    await openAsWorker();
    const { atMs: grantedAtMs } = await control.admit([0], 1000);
    const reason = 'permission_denied (403)';
    await control.reportEnd({ signal: 'refused', reason, source: 'alice/batch_1', grantedAtMs, estimatedTokens: 0 });
    const { last_errors: errors } = (await simulator()) ?? {};
    expect(errors).toEqual([{ reason, at: expect.any(Number) }]);
    expect(await (await api.request('/v1/lanes')).text()).not.toMatch(/alice|batch_1/);
  });
});

describe('an admin', () => {
  it('changes limits of a lane for all workers while it runs, and takes them back', async () => {
    await openAsWorker();
    const concurrency = () => api.redis.hget(api.keys.laneJobs('simulator', 'meta'), 'concurrency');
    expect(await concurrency()).toBe('20');
    const changed = await change({ concurrency: 5, requests_per_second: 0.5, tokens_per_minute: 9000 });
    const limits = { concurrency: 5, requests_per_minute: null, requests_per_second: 0.5, tokens_per_minute: 9000 };
    expect(changed).toMatchObject({ status: 200, body: { id: 'simulator', object: 'lane', limits } });
    expect(await concurrency()).toBe('5');
    await openAsWorker();
    expect(await simulator()).toMatchObject({
      limits,
      configured_limits: { ...unlimited, concurrency: 20, requests_per_minute: 600 },
      tokens_this_minute: 0,
    });
    await change({ concurrency: null, requests_per_minute: null, tokens_per_minute: null });
    expect(await simulator()).toMatchObject({ limits: { ...unlimited, concurrency: 20, requests_per_minute: 600 } });
    expect(await concurrency()).toBe('20');
  });

  it('leaves a line in the audit, and one that tells the limits', async () => {
    await change({ concurrency: 7 });
    await change({ concurrency: 8 }, { key: keys.alice });
    const lines = (status: number) =>
      log.filter((each) => each['action'] === 'lane.change' && each['status'] === status);
    await expect.poll(() => lines(403)).toMatchObject([{ outcome: 'refused', tenant: 'alice' }]);
    expect(lines(200).at(-1)).toMatchObject({ outcome: 'done', tenant: 'admin', ids: ['simulator'] });
    expect(log).toContainEqual(
      expect.objectContaining({
        lane: 'simulator',
        limits: { ...unlimited, concurrency: 7, requests_per_minute: 600 },
      }),
    );
    expect(await simulator()).toMatchObject({ limits: { concurrency: 7 } });
  });

  it.each([
    [{}, 'it must name a limit'],
    [{ concurrency: 0 }, 'concurrency'],
    [{ requests_per_minute: 1.5 }, 'requests_per_minute'],
    [{ requests_per_minute: 10, requests_per_second: 10 }, 'requests_per_second'],
    [{ timeout: 5 }, 'timeout'],
  ])('cannot set %o', async (body, words) => {
    const refused = await change(body);
    expect(refused.status).toBe(400);
    expect(JSON.stringify(refused.body)).toContain(words);
  });

  it('is told of a lane that there is not', async () => {
    expect(await change({ concurrency: 5 }, { lane: 'nobody' })).toMatchObject({
      status: 404,
      body: { error: { code: 'lane_not_found' } },
    });
  });
});

describe('Bull Board', () => {
  it('lists lanes that can be called or have jobs, and no others', async () => {
    await openAsWorker();
    expect(await boardLanes()).toEqual(['simulator', 'pool']);
    await api.redis.zadd(api.keys.laneJobs('openai', 'failed'), 1, 'job');
    expect(await boardLanes()).toEqual(['openai', 'simulator', 'pool']);
    // A worker says that it has no key.
    await openAsWorker(false);
    expect(await boardLanes()).toEqual(['openai', 'pool']);
    expect(await simulator()).toMatchObject({ has_key: false });
  });
});

describe('a lane with deployments', () => {
  const pool = async () => (await listLanes()).find(({ id }) => id === 'pool');

  it('tells the limits and the key of each, and what all share', async () => {
    expect(await pool()).toMatchObject({
      has_key: true,
      held_until: null,
      limits: { ...unlimited, requests_per_minute: 900 },
      deployments: [
        { id: 'pool@east', has_key: true, in_flight: 0, limits: { ...unlimited, concurrency: 3 } },
        { id: 'pool@west', has_key: false, allowed: null, limits: { ...unlimited, requests_per_minute: 500 } },
      ],
    });
    expect((await simulator())?.deployments).toEqual([]);
  });

  it('tells the calls and the hold of each, and is held when all are', async () => {
    const ofLane = createLaneControl(api.redis, api.keys, 'pool');
    const terms = { limits: {}, startWidth: 8, probeIntervalMs: 1000, hasKey: true };
    await ofLane.setLimits(terms);
    const hold = async (deployment: string) => {
      const opened = createLaneControl(api.redis, api.keys, deployment, { name: 'worker', lane: ofLane });
      await opened.setLimits(terms);
      const { atMs: grantedAtMs } = await opened.admit([0, 0], 1000);
      const reason = 'rate_limited (429)';
      await opened.reportEnd({ signal: 'throttled', reason, grantedAtMs, estimatedTokens: 0, retryAfterMs: 60_000 });
    };
    await hold('pool@east');
    const held = { in_flight: 2, held_until: expect.any(Number), reason: 'rate_limited (429)' };
    expect(await pool()).toMatchObject({ held_until: null, deployments: [held, { in_flight: 0, held_until: null }] });
    await hold('pool@west');
    expect(await pool()).toMatchObject({ held_until: expect.any(Number), reason: 'rate_limited (429)' });
  });

  it('lets an admin change the limits of each', async () => {
    const { status, body } = await change({ concurrency: 5 }, { lane: 'pool@east' });
    expect([status, body]).toMatchObject([200, { id: 'pool', deployments: [{ limits: { concurrency: 5 } }, {}] }]);
    expect((await change({ concurrency: 5 }, { lane: 'pool@north' })).status).toBe(404);
  });
});
