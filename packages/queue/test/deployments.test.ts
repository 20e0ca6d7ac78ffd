import type { LaneLimits } from '@promptmill/core';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import {
  changeLaneLimits,
  createLaneControl,
  type LaneControl,
  readDeploymentCalls,
  readLaneErrors,
  readLaneHold,
  readLaneState,
} from '../src/index.ts';
import { openRedisSpace, type RedisSpace } from './redis-space.ts';

let space: RedisSpace;
let lanes = 0;

beforeAll(() => {
  space = openRedisSpace();
});
afterAll(() => space.close());

const probeMs = 1000;
const callsOf = (count: number, tokens = 0): number[] => Array.from({ length: count }, () => tokens);
const perMinute = (count: number) => ({ count, windowMs: 60_000 });

/** A lane with the deployments east and west, as one worker sees it. */
const openPool = async (shared: LaneLimits, east: LaneLimits, west: LaneLimits) => {
  const name = `pool${lanes++}`;
  const terms = { startWidth: 8, probeIntervalMs: 1000, hasKey: true };
  const openProcess = async (process: string) => {
    const ofLane = createLaneControl(space.redis, space.keys, name);
    const open = (deployment: string): LaneControl =>
      createLaneControl(space.redis, space.keys, `${name}@${deployment}`, { name: process, lane: ofLane });
    const opened = { lane: ofLane, east: open('east'), west: open('west') };
    await opened.lane.setLimits({ ...terms, limits: shared });
    await opened.east.setLimits({ ...terms, limits: east });
    await opened.west.setLimits({ ...terms, limits: west });
    return opened;
  };
  return {
    name,
    upstreams: [`${name}@east`, `${name}@west`],
    openProcess,
    ...(await openProcess('process-1')),
    jobs: async () => Number(await space.redis.hget(space.keys.laneJobs(name, 'meta'), 'concurrency')),
  };
};

/** Asks for calls of this many tokens each, and gives how many are admitted. */
const admit = async (control: LaneControl, count: number, tokens = 0) =>
  (await control.admit(callsOf(count, tokens), probeMs)).granted;

const fail = async (control: LaneControl, reason: string, retryAfterMs = 60_000) => {
  const { atMs: grantedAtMs } = await control.admit([0], probeMs);
  control.endCall();
  await control.reportEnd({ signal: 'throttled', reason, grantedAtMs, estimatedTokens: 0, retryAfterMs });
};

describe('calls in flight', () => {
  it('are limited for each deployment, all processes together', async () => {
    const pool = await openPool({}, { concurrency: 3 }, { concurrency: 5 });
    const other = await pool.openProcess('process-2');
    expect(await admit(pool.east, 2)).toBe(2);
    expect(await other.east.admit(callsOf(4), probeMs)).toMatchObject({ granted: 1, waitFor: 'calls', room: 0 });
    expect(await admit(pool.west, 9)).toBe(5);
    pool.east.endCall();
    expect(await admit(pool.east, 9)).toBe(1);
    expect(await admit(other.east, 1)).toBe(0);
    other.east.endCall();
    await other.east.tellCalls();
    expect(await admit(pool.east, 9)).toBe(1);
    expect(await readDeploymentCalls(space.redis, space.keys, `${pool.name}@east`, Date.now())).toEqual({
      inFlight: 3,
      allowed: 3,
    });
  });

  it('of a process that has died count no longer', async () => {
    const pool = await openPool({}, { concurrency: 2 }, {});
    const dead = await pool.openProcess('process-2');
    expect(await admit(dead.east, 2)).toBe(2);
    expect(await admit(pool.east, 1)).toBe(0);
    const callsKey = space.keys.deploymentCalls(`${pool.name}@east`);
    const [count, untilMs] = ((await space.redis.hget(callsKey, 'process-2')) ?? '').split(' ').map(Number);
    expect([count, Math.round(((untilMs ?? 0) - Date.now()) / 1000)]).toEqual([2, 10]);
    await space.redis.hset(callsKey, 'process-2', `2 ${Date.now() - 1}`);
    expect(await admit(pool.east, 3)).toBe(2);
  });

  it('follow the answers where no limit is set, and only those of the same deployment', async () => {
    const pool = await openPool({}, {}, {});
    expect([await admit(pool.east, 20), await admit(pool.west, 20)]).toEqual([8, 8]);
    const [seconds = '', micros = ''] = await space.redis.time();
    const grantedAtMs = Number(seconds) * 1000 + Math.floor(Number(micros) / 1000);
    await pool.east.reportEnd({ signal: 'throttled', grantedAtMs, estimatedTokens: 0, retryAfterMs: 1 });
    const allowed = await Promise.all(
      pool.upstreams.map(
        async (upstream) => (await readDeploymentCalls(space.redis, space.keys, upstream, Date.now())).allowed,
      ),
    );
    expect(allowed).toEqual([4, 8]);
  });

  it('add up to the jobs that BullMQ gives out, as far as the limit of all together allows', async () => {
    const pool = await openPool({}, { concurrency: 3 }, { concurrency: 5 });
    await admit(pool.east, 1);
    await admit(pool.west, 1);
    expect(await pool.jobs()).toBe(8);
    await changeLaneLimits(space.redis, space.keys, `${pool.name}@west`, { concurrency: 20 });
    expect(await admit(pool.west, 30)).toBe(19);
    expect(await pool.jobs()).toBe(23);
    await changeLaneLimits(space.redis, space.keys, pool.name, { concurrency: 6 });
    await admit(pool.east, 1);
    expect(await pool.jobs()).toBe(6);
  });
});

describe('requests and tokens a minute', () => {
  it('are limited for each deployment, and for all together', async () => {
    const own = await openPool({}, { requests: perMinute(60_000) }, { tokensPerMinute: 600_000 });
    // The pace lets calls catch up on a quarter of a second.
    expect([await admit(own.east, 8), await admit(own.west, 8, 100_000)]).toEqual([8, 2]);

    const shared = await openPool({ requests: perMinute(60) }, {}, {});
    // The pace lets an idle lane catch up on one call.
    expect([await admit(shared.east, 1), await admit(shared.west, 9)]).toEqual([1, 1]);
    expect(await admit(shared.east, 1)).toBe(0);
    expect(await shared.west.admit([0], probeMs)).toMatchObject({ granted: 0, waitFor: 'requests' });
    expect(shared.west.limitsTokens()).toBe(false);
  });

  it('that all share are given back by any of them', async () => {
    const pool = await openPool({ tokensPerMinute: 1000 }, {}, {});
    const { atMs: grantedAtMs, granted } = await pool.east.admit([900], probeMs);
    expect([granted, await admit(pool.west, 1, 500), pool.west.limitsTokens()]).toEqual([1, 0, true]);
    pool.east.endCall();
    await pool.east.reportEnd({ signal: 'unsent', grantedAtMs, estimatedTokens: 900 });
    await expect.poll(() => admit(pool.west, 1, 500), { timeout: 3000 }).toBe(1);
  });

  it('are not exceeded when Redis has lost what all share', async () => {
    const pool = await openPool({ requests: perMinute(60) }, {}, {});
    await space.redis.del(space.keys.laneLimits(pool.name), space.keys.laneConfigured(pool.name));
    expect([await admit(pool.east, 5), await admit(pool.west, 5)]).toEqual([2, 0]);
  });
});

describe('a hold', () => {
  it('is one deployment’s; the lane is held while all are, until the first opens', async () => {
    const pool = await openPool({}, { concurrency: 3 }, { concurrency: 3 });
    const state = () => readLaneState(space.redis, space.keys, pool.name, pool.upstreams, Date.now());
    await fail(pool.east, 'rate_limited (429)', 60_000);
    expect([await admit(pool.east, 1), await admit(pool.west, 1)]).toEqual([0, 1]);
    expect(await state()).not.toHaveProperty('heldUntilMs');
    expect(await readLaneHold(space.redis, space.keys, pool.upstreams)).toBeUndefined();

    await fail(pool.west, 'provider_overloaded (503)', 20_000);
    const { heldUntilMs = 0, reason } = await state();
    expect([Math.round((heldUntilMs - Date.now()) / 20_000), reason]).toEqual([1, 'provider_overloaded (503)']);
    expect(await readLaneHold(space.redis, space.keys, pool.upstreams)).toEqual({
      untilMs: heldUntilMs,
      reason,
      isStopped: false,
    });
    const errors = await Promise.all(
      pool.upstreams.map((upstream) => readLaneErrors(space.redis, space.keys, upstream)),
    );
    expect(errors.map(([error]) => error?.reason)).toEqual(['rate_limited (429)', 'provider_overloaded (503)']);
  });
});
