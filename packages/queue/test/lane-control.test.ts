import { setTimeout as delay } from 'node:timers/promises';
import type { LaneLimits } from '@promptmill/core';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type CallEnd, createLaneControl, type LaneControl } from '../src/index.ts';
import { openRedisSpace, type RedisSpace } from './redis-space.ts';

let space: RedisSpace;
let lanes = 0;

beforeAll(() => {
  space = openRedisSpace();
});
afterAll(() => space.close());

/** A lane of its own, as one worker sees it. */
const openLane = async (limits: LaneLimits, { startWidth = 8, probeIntervalMs = 1000 } = {}) => {
  const name = `lane${lanes++}`;
  const control = createLaneControl(space.redis, space.keys, name);
  const setLimits = (changed: LaneLimits) =>
    control.setLimits({ limits: changed, startWidth, probeIntervalMs, hasKey: true });
  await setLimits(limits);
  const activeKey = space.keys.laneJobs(name, 'active');
  return {
    name,
    control,
    setLimits,
    /** Another worker's way to it. */
    again: () => createLaneControl(space.connect(), space.keys, name),
    /** BullMQ's list of the jobs in work. */
    async setActive(count: number): Promise<void> {
      await space.redis.del(activeKey);
      if (count > 0) await space.redis.rpush(activeKey, ...Array.from({ length: count }, (_, i) => `job-${i}`));
    },
    concurrency: async () => Number(await space.redis.hget(space.keys.laneJobs(name, 'meta'), 'concurrency')),
  };
};

const oneCall = [0];
const calls = (count: number): number[] => Array.from({ length: count }, () => 0);
const probeMs = 60_000;

const enterOne = async (control: LaneControl) => {
  const answer = await control.admit(oneCall, probeMs);
  expect(answer.granted).toBe(1);
  return answer;
};

/** One call that is admitted and ends with this signal. */
const callOnce = async (
  control: LaneControl,
  end: Pick<CallEnd, 'signal' | 'retryAfterMs' | 'requestsPerCall'>,
): Promise<number> => {
  const { atMs: grantedAtMs } = await enterOne(control);
  return (await control.reportEnd({ ...end, grantedAtMs, estimatedTokens: 0 })).heldUntilMs;
};

/** Asks again when it is told to, until the call is admitted or has to wait for something else. */
const enterAfter = async (control: LaneControl, waitFor: string, probeLastsMs = probeMs) => {
  for (;;) {
    const answer = await control.admit(oneCall, probeLastsMs);
    if (answer.granted > 0 || answer.waitFor !== waitFor) return answer;
    await delay(answer.waitMs);
  }
};

/** The time on which a late question may catch up. */
const catchUpMs = 250;

/** The time between questions. A gap that was too long to catch up on counts as the time that can be caught up on. */
const usableMsOf = (askedMs: readonly number[]): number =>
  askedMs.toSorted((a, b) => a - b).reduce((sum, at, i, all) => sum + Math.min(catchUpMs, at - (all[i - 1] ?? at)), 0);

/** Takes all that the lane allows for this time, with several workers. */
const takeAll = async (controls: readonly LaneControl[], forMs: number, tokensOf: () => number = () => 0) => {
  const granted: { readonly atMs: number; readonly tokens: number }[] = [];
  const askedMs: number[] = [];
  const endsAt = performance.now() + forMs;
  const take = async (control: LaneControl): Promise<void> => {
    while (performance.now() < endsAt) {
      const wanted = [tokensOf(), tokensOf(), tokensOf()];
      const answer = await control.admit(wanted, probeMs);
      askedMs.push(answer.atMs);
      granted.push(...wanted.slice(0, answer.granted).map((tokens) => ({ atMs: answer.atMs, tokens })));
      await delay(Math.min(answer.waitMs, 20));
    }
  };
  await Promise.all(controls.map(take));
  return { granted: granted.sort((a, b) => a.atMs - b.atMs), usableMs: usableMsOf(askedMs) };
};

/** The most calls that any window of a provider holds, which sees each one up to 30 ms after it was let in. */
const busiestWindow = (atMs: readonly number[], windowMs: number): number => {
  const arrivals = atMs.map((at, i) => at + ((i * 7919) % 30)).sort((a, b) => a - b);
  return Math.max(...arrivals.map((first) => arrivals.filter((at) => at >= first && at < first + windowMs).length));
};

describe.concurrent('limits', () => {
  it('never admits more calls than a sliding window allows, and nearly as many', async () => {
    const limits = { requests: { count: 20, windowMs: 2000 } };
    const { control, again } = await openLane(limits);
    const { granted } = await takeAll([control, again(), again()], 4000);
    expect(
      busiestWindow(
        granted.map(({ atMs }) => atMs),
        2000,
      ),
    ).toBeLessThanOrEqual(20);
    expect(granted.length).toBeGreaterThanOrEqual(36);
  });

  it('spreads tokens evenly, and uses nearly all', async () => {
    const { control, again } = await openLane({ tokensPerMinute: 60_000 });
    let n = 0;
    const { granted, usableMs } = await takeAll([control, again(), again()], 3000, () => 20 + ((n++ * 7919) % 80));
    const first = granted[0]?.atMs ?? 0;
    let sum = 0;
    // One a millisecond; a call may come as early as its predecessors' tokens allow, and catch up.
    for (const { atMs, tokens } of granted) {
      expect(sum).toBeLessThanOrEqual(atMs - first + catchUpMs + 100);
      sum += tokens;
    }
    expect(sum).toBeGreaterThanOrEqual(0.9 * usableMs);
  });

  it('loses nothing to questions that come late, as on a busy machine', async () => {
    // One in ten milliseconds.
    const { control } = await openLane({ requests: { count: 6000, windowMs: 60_000 } });
    const askedMs: number[] = [];
    let granted = 0;
    while (askedMs.length < 10) {
      const answer = await control.admit(calls(64), probeMs);
      askedMs.push(answer.atMs);
      granted += answer.granted;
      await delay(200);
    }
    expect(granted).toBeGreaterThanOrEqual((0.95 * usableMsOf(askedMs)) / 10);
    expect(granted).toBeLessThanOrEqual(((askedMs.at(-1) ?? 0) - (askedMs[0] ?? 0) + catchUpMs) / 10 + 2);
  });

  it('gives back what a call did not use, and takes what it used beyond its estimate', async () => {
    const { control } = await openLane({ tokensPerMinute: 60_000 });
    const endCall = (grantedAtMs: number, estimatedTokens: number, usedTokens: number) =>
      control.reportEnd({ signal: 'ok', grantedAtMs, estimatedTokens, usedTokens });
    const first = await control.admit([50_000], probeMs);
    expect(await control.admit([20_000], probeMs)).toMatchObject({ granted: 0, waitFor: 'tokens' });
    await endCall(first.atMs, 50_000, 10);
    const second = await control.admit([1000], probeMs);
    expect(second.granted).toBe(1);
    await endCall(second.atMs, 1000, 59_500);
    // More than 500 fit only when the 59,500 have left the window.
    const third = await control.admit([600], probeMs);
    expect(third).toMatchObject({ granted: 0, waitFor: 'tokens' });
    expect(third.waitMs).toBeGreaterThan(55_000);
  });

  it('lets other calls have what ended calls give back, also when many end at once', async () => {
    const { control } = await openLane({ tokensPerMinute: 60_000 });
    // Twenty calls a second, which a slow machine reaches too.
    const estimatedTokens = 200;
    const usedTokens = 50;
    const endsAt = performance.now() + 3000;
    const askedMs: number[] = [];
    let inFlight: number[] = [];
    let ended = 0;
    while (performance.now() < endsAt) {
      const { granted, atMs, waitMs } = await control.admit([estimatedTokens], probeMs);
      askedMs.push(atMs);
      if (granted === 0) await delay(Math.min(waitMs, 20));
      else if (inFlight.push(atMs) >= 5) {
        const end = { signal: 'ok', estimatedTokens, usedTokens } as const;
        await Promise.all(inFlight.map((grantedAtMs) => control.reportEnd({ ...end, grantedAtMs })));
        ended += inFlight.length;
        inFlight = [];
      }
    }
    // One a millisecond; the guesses of those that have not ended are off by up to 750.
    expect(ended * usedTokens).toBeGreaterThanOrEqual(0.95 * usableMsOf(askedMs) - 1000);
    expect(ended * usedTokens).toBeLessThanOrEqual((askedMs.at(-1) ?? 0) - (askedMs[0] ?? 0) + 1000);
  });

  it('leaves room for calls in flight that use more than was guessed, once guesses have been off', async () => {
    const { control } = await openLane({ tokensPerMinute: 60_000 });
    const waitMs = async (tokens: number) => (await control.admit([tokens], probeMs)).waitMs;
    const { atMs: grantedAtMs } = await control.admit([1000], probeMs);
    await delay(30);
    await control.reportEnd({ signal: 'ok', grantedAtMs, estimatedTokens: 1000, usedTokens: 2000 });
    expect(await waitMs(57_990)).toBeGreaterThan(55_000);
    expect(await waitMs(57_000)).toBeLessThan(3000);
  });

  it('does not wait for tokens used beyond a guess when the lane was idle for that time', async () => {
    const { control } = await openLane({ tokensPerMinute: 600_000 });
    const { atMs: grantedAtMs } = await control.admit([10], probeMs);
    // Half a second of the limit.
    await control.reportEnd({ signal: 'ok', grantedAtMs, estimatedTokens: 10, usedTokens: 5010 });
    const next = await control.admit([10], probeMs);
    expect(next.atMs - grantedAtMs + next.waitMs).toBeGreaterThan(500 - catchUpMs - 50);
    await delay(600);
    expect(await control.admit([10, 10], probeMs)).toMatchObject({ granted: 2 });
  });

  it('counts a call that goes out late from then on', async () => {
    const { name, control, again } = await openLane({ requests: { count: 10, windowMs: 1000 } });
    const late = [
      await enterOne(control),
      await enterAfter(control, 'requests'),
      await enterAfter(control, 'requests'),
    ];
    await delay(300);
    const sentAtMs = await Promise.all(
      late.map(({ atMs: grantedAtMs }) => control.countLate({ grantedAtMs, estimatedTokens: 0 })),
    );
    const { granted } = await takeAll([control, again()], 1500);
    expect(busiestWindow([...sentAtMs, ...granted.map(({ atMs }) => atMs)], 1000)).toBeLessThanOrEqual(10);
    await delay(1200);
    await enterOne(control);
    expect(await space.redis.hget(space.keys.laneLedger(name), 'requests:sum')).toBe('1');
  });

  it('settles the tokens of a call that went out late where they count', async () => {
    const { name, control } = await openLane({ tokensPerMinute: 60_000 });
    const sum = async () => Number(await space.redis.hget(space.keys.laneLedger(name), 'tokens:sum'));
    const { atMs: grantedAtMs } = await control.admit([1000], probeMs);
    // A slot of a minute's window is 250 ms.
    await delay(300);
    const countedAtMs = await control.countLate({ grantedAtMs, estimatedTokens: 1000 });
    expect(await sum()).toBe(1000);
    await control.reportEnd({ signal: 'ok', grantedAtMs, countedAtMs, estimatedTokens: 1000, usedTokens: 10 });
    expect(await sum()).toBe(10);
    const slots = await space.redis.hgetall(space.keys.laneLedger(name));
    expect(slots[`tokens:${Math.floor(countedAtMs / 250)}`]).toBe('10');
    expect(slots[`tokens:${Math.floor(grantedAtMs / 250)}`]).toBe('0');
  });

  it('counts a call again that goes out after its time', async () => {
    const { name, control } = await openLane({ requests: { count: 10, windowMs: 1000 } });
    const sum = () => space.redis.hget(space.keys.laneLedger(name), 'requests:sum');
    const { atMs: grantedAtMs } = await enterOne(control);
    await delay(1200);
    await enterOne(control);
    expect(await sum()).toBe('1');
    await delay(20);
    await control.countLate({ grantedAtMs, estimatedTokens: 0 });
    expect(await sum()).toBe('2');
    await delay(1200);
    await enterOne(control);
    expect(await sum()).toBe('1');
  });

  it('gives back the room of a call that was not sent', async () => {
    const { name, control } = await openLane({ requests: { count: 10, windowMs: 60_000 }, tokensPerMinute: 1000 });
    const sums = () => space.redis.hmget(space.keys.laneLedger(name), 'requests:sum', 'tokens:sum');
    const { atMs: grantedAtMs, sendWithinMs } = await control.admit([500], probeMs);
    expect([await sums(), sendWithinMs]).toEqual([['1', '500'], 45_360]);
    await control.reportEnd({ signal: 'unsent', grantedAtMs, estimatedTokens: 500 });
    expect(await sums()).toEqual(['0', '0']);
  });

  it('admits a call larger than the limit alone', async () => {
    const { control } = await openLane({ tokensPerMinute: 100 });
    expect(await control.admit([1000, 1], probeMs)).toMatchObject({ granted: 1, waitFor: 'tokens' });
  });

  it('applies a lowered limit at once, and counts the calls from before', async () => {
    const { control, setLimits } = await openLane({ requests: { count: 1000, windowMs: 1000 } });
    const before = await control.admit(calls(20), probeMs);
    expect(before.granted).toBe(20);
    await setLimits({ requests: { count: 10, windowMs: 1000 } });
    expect(await control.admit(oneCall, probeMs)).toMatchObject({ granted: 0, waitFor: 'requests' });
    const next = await enterAfter(control, 'requests');
    expect(next.atMs - before.atMs).toBeGreaterThanOrEqual(1000);
  });

  it('goes from one length of window to another', async () => {
    const perSecond = { requests: { count: 10, windowMs: 1000 } };
    const { name, control, setLimits } = await openLane({ requests: { count: 60_000, windowMs: 60_000 } });
    const before = await control.admit(calls(20), probeMs);
    await setLimits(perSecond);
    const next = await enterAfter(control, 'requests');
    expect(next.atMs - before.atMs).toBeGreaterThanOrEqual(1000);
    await setLimits({ requests: { count: 1, windowMs: 60_000 } });
    const last = await enterAfter(control, 'none');
    expect(last).toMatchObject({ granted: 0, waitFor: 'requests' });
    expect(await space.redis.hlen(space.keys.laneLedger(name))).toBeLessThan(10);
  });

  it('does not walk through a long idle time', async () => {
    const { name, control } = await openLane({ requests: { count: 10, windowMs: 1000 } });
    const longAgo = { 'requests:first': 1, 'requests:3': 9, 'requests:last': 5, 'requests:sum': 9 };
    await space.redis.hset(space.keys.laneLedger(name), { ...longAgo, 'requests:slotMs': 4 });
    await enterOne(control);
    expect(await space.redis.hget(space.keys.laneLedger(name), 'requests:sum')).toBe('1');
  });
});

describe.concurrent('a hold', () => {
  const throttled = (retryAfterMs?: number) => ({ signal: 'throttled', retryAfterMs }) as const;

  it('lasts as long as the provider asks, and is never shortened', async () => {
    const { control } = await openLane({});
    const [first, second] = [await enterOne(control), await enterOne(control)];
    const hold = await control.reportEnd({ ...throttled(400), grantedAtMs: first.atMs, estimatedTokens: 0 });
    expect(hold.began).toBe(true);
    expect(await control.reportEnd({ ...throttled(10), grantedAtMs: second.atMs, estimatedTokens: 0 })).toMatchObject({
      heldUntilMs: hold.heldUntilMs,
      began: false,
    });
    expect(await control.admit(oneCall, probeMs)).toMatchObject({ granted: 0, waitFor: 'hold' });
    const next = await enterAfter(control, 'hold');
    expect(next.atMs).toBeGreaterThanOrEqual(hold.heldUntilMs);
  });

  it('ends with one probe, whichever worker asks; its success opens the lane gradually', async () => {
    const { control, again } = await openLane({ concurrency: 20 });
    await callOnce(control, throttled(20));
    await delay(30);
    const controls = [control, again(), again()];
    const answers = await Promise.all(controls.map((each) => each.admit(calls(10), probeMs)));
    expect(answers.map(({ granted }) => granted).sort((a, b) => a - b)).toEqual([0, 0, 1]);
    const probe = answers.find(({ granted }) => granted === 1);
    expect(probe?.isProbe).toBe(true);
    await control.reportEnd({ signal: 'ok', grantedAtMs: probe?.atMs ?? 0, estimatedTokens: 0 });

    const { granted } = await takeAll(controls, 500);
    // Twenty a second, and a call or two more at the beginning.
    expect(granted.length).toBeGreaterThanOrEqual(8);
    expect(granted.length).toBeLessThanOrEqual(13);
    await delay(600);
    expect(await control.admit(calls(30), probeMs)).toMatchObject({ granted: 30, isProbe: false });
  });

  it('is longer after a probe that failed', async () => {
    const { control } = await openLane({});
    const holdMs = async (): Promise<number> => {
      // A timer may be a millisecond ahead of Redis's clock: a call that is early asks again.
      const { atMs: grantedAtMs } = await enterAfter(control, 'hold');
      await control.reportEnd({ ...throttled(), grantedAtMs, estimatedTokens: 0 });
      return (await control.admit(oneCall, probeMs)).waitMs;
    };
    const first = await holdMs();
    expect(first).toBeGreaterThan(300);
    expect(first).toBeLessThanOrEqual(501);
    expect(await holdMs()).toBeGreaterThan(800);
  });

  it.each([
    ['has just begun to fail', 0, 1000],
    ['fails for 6 s', 6000, 3000],
    ['fails for an hour', 3_600_000, 8000],
  ])('of a provider that %s lasts %d ms / 2, at least 1 s and at most 8', async (_, failingMs, expectedMs) => {
    const { name, control } = await openLane({});
    await callOnce(control, { signal: 'throttled', retryAfterMs: 10 });
    await space.redis.hincrby(space.keys.laneState(name), 'closedFrom', -failingMs);
    const { atMs: grantedAtMs } = await enterAfter(control, 'hold');
    const { heldUntilMs } = await control.reportEnd({ signal: 'down', grantedAtMs, estimatedTokens: 0 });
    expect(heldUntilMs - grantedAtMs).toBeGreaterThanOrEqual(expectedMs);
    expect(heldUntilMs - grantedAtMs).toBeLessThan(expectedMs + 500);
  });

  it.each(['none', 'unsent'] as const)('lets another probe in when one was given up: %s', async (signal) => {
    const { control } = await openLane({});
    await callOnce(control, throttled(10));
    await delay(15);
    await callOnce(control, { signal });
    expect(await control.admit(oneCall, probeMs)).toMatchObject({ granted: 1, isProbe: true });
  });

  it('lets another probe in when one was lost', async () => {
    const { control } = await openLane({});
    await callOnce(control, throttled(10));
    await delay(15);
    const lost = await control.admit(oneCall, 200);
    expect(await control.admit(oneCall, 200)).toMatchObject({ granted: 0, waitFor: 'probe' });
    const next = await enterAfter(control, 'probe', 200);
    expect(next).toMatchObject({ granted: 1, isProbe: true });
    expect(next.atMs - lost.atMs).toBeGreaterThanOrEqual(200);
  });

  it.each([{ signal: 'none' }, { signal: 'unsent' }, throttled(0), { signal: 'ok' }] as const)(
    'is not ended by a call from before it: %j',
    async (late) => {
      const { control } = await openLane({});
      const { atMs: grantedAtMs } = await enterOne(control);
      await delay(5);
      await callOnce(control, throttled(10));
      await delay(15);
      await enterOne(control);
      await control.reportEnd({ ...late, grantedAtMs, estimatedTokens: 0 });
      const { granted, waitFor } = await enterAfter(control, 'hold');
      expect({ granted, waitFor }).toEqual({ granted: 0, waitFor: 'probe' });
    },
  );

  it('of a provider that has stopped lasts until the next probe is due', async () => {
    const { control } = await openLane({}, { probeIntervalMs: 300 });
    await callOnce(control, { signal: 'stopped' });
    const { waitFor, waitMs } = await control.admit(oneCall, probeMs);
    expect(waitFor).toBe('hold');
    expect(waitMs).toBeGreaterThan(200);
    expect(waitMs).toBeLessThanOrEqual(301);
  });

  it('closes the lane: at once when the provider has stopped, else a minute after the first without a success', async () => {
    const { name, control } = await openLane({});
    const end = (signal: CallEnd['signal'], { atMs }: { readonly atMs: number }) =>
      control.reportEnd({ signal, grantedAtMs: atMs, estimatedTokens: 0 });
    await callOnce(control, throttled(500));
    expect(await control.admit(oneCall, probeMs)).toMatchObject({ granted: 0, closedForMs: 0 });
    await space.redis.hincrby(space.keys.laneState(name), 'closedFrom', -60_000);
    const probe = await enterAfter(control, 'hold');
    expect(probe).toMatchObject({ isProbe: true, closedForMs: expect.any(Number) });
    await end('ok', probe);
    const next = await enterAfter(control, 'requests');
    expect(next.closedForMs).toBe(0);
    await end('stopped', next);
    expect(await control.admit(oneCall, probeMs)).toMatchObject({ granted: 0, closedForMs: expect.any(Number) });
  });

  it('follows a row of failures, and not one that a success breaks', async () => {
    const { control } = await openLane({});
    const fail = async (times: number): Promise<number> => {
      let heldUntil = 0;
      for (let i = 0; i < times; i++) heldUntil = await callOnce(control, { signal: 'down' });
      return heldUntil;
    };
    expect(await fail(19)).toBe(0);
    await callOnce(control, { signal: 'ok' });
    expect(await fail(19)).toBe(0);
    expect(await fail(1)).toBeGreaterThan(0);
  });
});

describe.concurrent('the width that the answers decide', () => {
  /** A round of calls that all ended well. */
  const round = async ({ control }: { control: LaneControl }, count: number): Promise<void> => {
    const { atMs: grantedAtMs } = await enterOne(control);
    await control.reportEnd({ signal: 'ok', grantedAtMs, estimatedTokens: 0, count });
  };

  it('doubles until the first refusal, falls to 0.6, and then grows by one a round and falls to 0.9', async () => {
    const lane = await openLane({}, { startWidth: 10 });
    expect(await lane.concurrency()).toBe(10);
    await lane.setActive(10);
    await round(lane, 10);
    expect(await lane.concurrency()).toBe(20);
    await lane.setActive(20);
    await callOnce(lane.control, { signal: 'overloaded' });
    expect(await lane.concurrency()).toBe(12);
    await round(lane, 12);
    expect(await lane.concurrency()).toBe(13);
    await delay(2);
    await callOnce(lane.control, { signal: 'overloaded' });
    expect(await lane.concurrency()).toBe(11);
  });

  it('grows by what a call was for, where requests share calls', async () => {
    const lane = await openLane({}, { startWidth: 10 });
    await lane.setActive(10);
    await callOnce(lane.control, { signal: 'ok', requestsPerCall: 10 });
    expect(await lane.concurrency()).toBe(20);
    await lane.setActive(20);
    await callOnce(lane.control, { signal: 'overloaded' });
    expect(await lane.concurrency()).toBe(12);
    await callOnce(lane.control, { signal: 'ok', requestsPerCall: 6 });
    expect(await lane.concurrency()).toBe(15);
  });

  it('does not grow while it is not used', async () => {
    const lane = await openLane({}, { startWidth: 10 });
    await lane.setActive(4);
    await round(lane, 10);
    expect(await lane.concurrency()).toBe(10);
  });

  it('falls once for a volley, and from what was in flight', async () => {
    const lane = await openLane({}, { startWidth: 100 });
    await lane.setActive(50);
    const volley = await lane.control.admit(calls(20), probeMs);
    const refusal = { signal: 'overloaded', grantedAtMs: volley.atMs, estimatedTokens: 0 } as const;
    for (let i = 0; i < 10; i++) await lane.control.reportEnd(refusal);
    expect(await lane.concurrency()).toBe(30);
  });

  it('does not fall with a probe', async () => {
    const lane = await openLane({}, { startWidth: 100 });
    await lane.setActive(100);
    const throttle = () => callOnce(lane.control, { signal: 'throttled', retryAfterMs: 5 });
    await throttle();
    expect(await lane.concurrency()).toBe(60);
    for (let i = 0; i < 3; i++) {
      await delay(10);
      await throttle();
    }
    expect(await lane.concurrency()).toBe(60);
  });

  it('gives way to a configured concurrency, and starts again without one', async () => {
    const lane = await openLane({}, { startWidth: 10 });
    await lane.setActive(10);
    await round(lane, 10);
    await lane.setLimits({ concurrency: 3 });
    expect(await lane.concurrency()).toBe(3);
    await round(lane, 10);
    await callOnce(lane.control, { signal: 'overloaded' });
    expect(await lane.concurrency()).toBe(3);
    await lane.setLimits({});
    expect(await lane.concurrency()).toBe(10);
  });
});

it('admits no call while its limits are lost, and sets them again', async () => {
  const { name, control, again } = await openLane({ requests: { count: 10, windowMs: 1000 } });
  await space.redis.del(space.keys.laneLimits(name));
  expect(await again().admit(calls(20), probeMs)).toMatchObject({ granted: 0, waitFor: 'limits' });
  expect(await control.admit(calls(20), probeMs)).toMatchObject({ waitFor: 'requests' });
  await space.redis.del(space.keys.laneLimits(name));
  await control.restoreLimits();
  expect(await again().admit(calls(20), probeMs)).toMatchObject({ waitFor: 'requests' });
});

describe('the budget of retries', () => {
  it('is earned by answers, and lets one a second through when there are none', async () => {
    const { control } = await openLane({});
    const first = await Promise.all(Array.from({ length: 100 }, () => control.takeRetry()));
    expect(first.every((waitMs) => waitMs === 0)).toBe(true);
    expect(await control.takeRetry()).toBe(0);
    expect(await control.takeRetry()).toBeGreaterThan(0);

    await callOnce(control, { signal: 'ok' });
    expect(await control.takeRetry()).toBe(0);
    expect(await control.takeRetry()).toBeGreaterThan(0);
    await callOnce(control, { signal: 'down' });
    expect(await control.takeRetry()).toBeGreaterThan(0);
  });
});
