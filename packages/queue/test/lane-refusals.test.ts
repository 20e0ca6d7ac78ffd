import { setTimeout as delay } from 'node:timers/promises';
import type { RequestJob } from '@promptmill/core';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type CallSignal, createLaneControl, openLaneQueue } from '../src/index.ts';
import { openRedisSpace, type RedisSpace } from './redis-space.ts';

let space: RedisSpace;
let lanes = 0;
let calls = 0;

beforeAll(() => {
  space = openRedisSpace();
});
afterAll(() => space.close());

const probeMs = 60_000;

const nameOf = (source: string): string => (source.includes('/') ? source : `acme/${source}`);

/** A lane in which jobs of these sources are in work. A source without a tenant is of the tenant `acme`. */
const openLane = async (...sources: string[]) => {
  const name = `refusals${lanes++}`;
  const control = createLaneControl(space.redis, space.keys, name);
  await control.setLimits({ limits: { concurrency: 10 }, startWidth: 8, probeIntervalMs: 300, hasKey: true });
  const queue = space.keep(openLaneQueue(space.redis, space.keys, name));
  const addJob = async (source: string): Promise<string> => {
    const [, batchId = ''] = nameOf(source).split('/');
    // Each live call has an id of its own.
    const jobId = batchId === 'live' ? `call${calls++}-0` : `${batchId}-0`;
    const { id = '' } = await queue.add(`${nameOf(source)} embeddings`, {} as RequestJob, { jobId, priority: 1 });
    return id;
  };
  for (const source of sources) {
    const id = await addJob(source);
    await space.redis.zrem(space.keys.laneJobs(name, 'prioritized'), id);
    await space.redis.rpush(space.keys.laneJobs(name, 'active'), id);
  }
  const ask = (source?: string) => control.admit([0], probeMs, source && nameOf(source));
  return {
    control,
    ask,
    addJob,
    setState: (fields: object) => space.redis.hset(space.keys.laneState(name), fields),
    remember: (fields: object) => space.redis.hset(space.keys.laneRefusals(name), fields),
    /** Lets the time pass after which the lane forgets its refusals. Gives that time in milliseconds. */
    forget: async (): Promise<number> => {
      const lastsMs = await space.redis.pttl(space.keys.laneRefusals(name));
      await space.redis.del(space.keys.laneRefusals(name));
      return lastsMs;
    },
    /** A call that is admitted now and ends with this signal. */
    end: async (signal: CallSignal, source = 'a') => {
      await delay(2);
      const { granted, atMs: grantedAtMs } = await ask(source);
      expect(granted).toBe(1);
      const isSuccess = signal === 'ok';
      return control.reportEnd({
        signal,
        grantedAtMs,
        estimatedTokens: 0,
        ...(isSuccess ? { succeededAtMs: grantedAtMs } : { source: nameOf(source), reason: signal }),
      });
    },
  };
};

it('one batch’s refusals hold nothing while another has calls in work; two batches’ refusals do', async () => {
  const { end } = await openLane('a', 'b');
  for (let i = 0; i < 25; i++) expect((await end('refused')).heldUntilMs).toBe(0);
  expect((await end('accountRefused', 'b')).began).toBe(true);
});

it('two batches of one tenant hold nothing while another tenant has calls in work; two tenants do', async () => {
  const { end } = await openLane('one/a', 'one/b', 'two/c');
  for (let i = 0; i < 25; i++)
    for (const batch of ['one/a', 'one/b']) expect((await end('accountRefused', batch)).heldUntilMs).toBe(0);
  expect((await end('accountRefused', 'two/c')).began).toBe(true);
});

it('live calls of a tenant are one source', async () => {
  const { end } = await openLane('one/live', 'one/live');
  await end('accountRefused', 'one/live');
  expect((await end('accountRefused', 'one/live')).heldUntilMs).toBe(0);
  expect((await end('accountRefused', 'one/live')).began).toBe(true);
  const shared = await openLane('one/live', 'one/a', 'two/live');
  for (const source of ['one/live', 'one/a', 'one/live', 'one/a'])
    expect((await shared.end('accountRefused', source)).heldUntilMs).toBe(0);
  expect((await shared.end('accountRefused', 'two/live')).began).toBe(true);
});

it('another tenant whose requests wait in the lane counts like one that is at work', async () => {
  const { end, addJob } = await openLane('one/a', 'one/b');
  await addJob('two/c');
  await end('accountRefused', 'one/a');
  expect((await end('accountRefused', 'one/b')).heldUntilMs).toBe(0);
});

it('ten minutes after the last refusal the lane has forgotten it', async () => {
  const { end, forget } = await openLane('a', 'b');
  await end('refused');
  const lastsMs = await forget();
  expect(lastsMs).toBeGreaterThan(590_000);
  expect(lastsMs).toBeLessThanOrEqual(600_000);
  expect((await end('refused', 'b')).heldUntilMs).toBe(0);
  expect((await end('refused')).began).toBe(true);
});

it('two batches’ refusals with a success between hold nothing', async () => {
  const { end } = await openLane('a', 'b');
  await end('refused');
  await end('ok', 'b');
  expect((await end('refused', 'b')).heldUntilMs).toBe(0);
});

it('a success of a call from before the first refusal is no success between', async () => {
  const { control, ask, end } = await openLane('a', 'b');
  const { atMs } = await ask('b');
  await end('refused');
  await control.reportEnd({ signal: 'ok', grantedAtMs: atMs, succeededAtMs: atMs, estimatedTokens: 0 });
  expect((await end('refused', 'b')).began).toBe(true);
});

it('a batch that is alone holds the lane with its third refusal in a row', async () => {
  const { end } = await openLane('a');
  const holds = [await end('refused'), await end('refused'), await end('refused')];
  expect(holds.map(({ began }) => began)).toEqual([false, false, true]);
});

it('a look that shows a good key keeps the lane open up to the twentieth 403, and says nothing of a 401 or 402', async () => {
  const { control, end } = await openLane('a');
  const { atMs, isLookDue } = await end('refused');
  expect(isLookDue).toBe(true);
  await control.reportLook({ verdict: 'accepted', atMs, reason: '' });
  for (let refusals = 2; refusals < 20; refusals++) {
    const { heldUntilMs, isLookDue: again, workedAtMs } = await end('refused');
    expect([heldUntilMs, again]).toEqual([0, false]);
    expect(workedAtMs).toBeGreaterThan(atMs);
  }
  expect((await end('refused')).began).toBe(true);

  const other = await openLane('a');
  const first = await other.end('accountRefused');
  await other.control.reportLook({ verdict: 'accepted', atMs: first.atMs, reason: '' });
  await other.end('accountRefused');
  expect(await other.end('accountRefused')).toMatchObject({ began: true, workedAtMs: 0 });
});

it('a refusal says when the lane worked last for others', async () => {
  const { end } = await openLane('a', 'b');
  expect((await end('refused')).workedAtMs).toBe(0);
  await end('ok', 'b');
  const { workedAtMs, atMs } = await end('refused');
  expect(atMs - workedAtMs).toBeLessThan(1000);
});

it('a refused look holds the lane; after a refused call it looks again before each probe', async () => {
  const { control, end, ask } = await openLane('a');
  const { atMs } = await end('refused');
  expect((await control.reportLook({ verdict: 'refused', atMs, reason: 'x (401)' })).began).toBe(true);
  const hold = await ask('a');
  expect(hold).toMatchObject({ waitFor: 'hold', closedForMs: expect.any(Number), failedSources: ['acme/a'] });
  await delay(hold.waitMs);
  await end('refused');
  await delay(310);
  const look = await ask('a');
  expect(look.waitFor).toBe('look');
  expect(await ask('a')).toMatchObject({ granted: 0, waitFor: 'probe' });
  await control.reportLook({ verdict: 'refused', atMs: look.atMs, reason: 'x (401)' });
  expect((await ask('a')).waitFor).toBe('hold');
  await delay(310);
  const next = await ask('a');
  expect(next.waitFor).toBe('look');
  await control.reportLook({ verdict: 'accepted', atMs: next.atMs, reason: '' });
  expect((await end('ok')).heldUntilMs).toBe(0);
});

it('looks are not believed any more when calls succeed in spite of a refused one', async () => {
  const { control, end } = await openLane('a', 'b');
  const { atMs } = await end('refused');
  await control.reportLook({ verdict: 'refused', atMs, reason: 'x (403)' });
  await end('ok', 'b');
  await delay(1100);
  expect(await end('refused')).toMatchObject({ heldUntilMs: 0, isLookDue: false });
});

it('lets a batch that has not failed send a probe in spite of a hold, and wants to know the source for that', async () => {
  const { end, ask } = await openLane('a', 'b');
  await end('refused');
  await end('refused', 'b');
  await delay(2);
  expect(await ask()).toMatchObject({ granted: 0, waitFor: 'source', failedSources: ['acme/a', 'acme/b'] });
  expect(await ask('a')).toMatchObject({ granted: 0, waitFor: 'hold' });
  expect(await ask('c')).toMatchObject({ granted: 1, isProbe: true });
  expect(await ask('d')).toMatchObject({ granted: 0, waitFor: 'probe', failedSources: ['acme/a', 'acme/b', 'acme/c'] });
});

it('two seconds after a probe without an answer another batch may send one; its own waits longer', async () => {
  const { end, ask, setState } = await openLane('a', 'b');
  for (let i = 0; i < 20; i++) await end('down');
  await delay(2);
  const { atMs } = await ask('c');
  expect((await ask('d')).waitMs).toBeGreaterThan(1900);
  await setState({ probedAt: atMs - 2000, heldUntil: atMs });
  expect(await ask('c')).toMatchObject({ granted: 0, waitFor: 'probe' });
  expect(await ask('d')).toMatchObject({ granted: 1, isProbe: true, failedSources: ['acme/a', 'acme/c'] });
});

it('a hold by 429 lets no batch in', async () => {
  const { end, ask } = await openLane('a', 'b');
  await end('refused');
  await end('throttled', 'b');
  await delay(2);
  expect(await ask('c')).toMatchObject({ granted: 0, waitFor: 'hold' });
});

it('after a hold that the first probe ends, all calls go at once, and the next one takes more batches and more time', async () => {
  const { control, end, remember } = await openLane('a', 'b', 'c', 'd', 'e');
  await end('refused', 'a');
  expect((await end('refused', 'b')).began).toBe(true);
  await end('ok', 'e');
  expect(await control.admit([0, 0, 0, 0], probeMs)).toMatchObject({ granted: 4, isProbe: false });
  for (const batch of ['a', 'b', 'c', 'd']) expect((await end('refused', batch)).heldUntilMs).toBe(0);
  await remember({ workedAt: Date.now() - 11_000 });
  expect((await end('refused', 'a')).began).toBe(true);
});

it.each([
  ['was wrong too when a look has shown a good key', true],
  ['was right as far as one knows when no look has', false],
])('a hold that a later probe ends %s', async (_, isKeyGood) => {
  const { control, end } = await openLane('a', 'b', 'c', 'd');
  await end('refused', 'a');
  await end('refused', 'b');
  const { atMs } = await end('refused', 'c');
  if (isKeyGood) await control.reportLook({ verdict: 'accepted', atMs, reason: '' });
  await end('ok', 'd');
  await end('refused', 'a');
  expect((await end('refused', 'b')).began).toBe(!isKeyGood);
});

it('a probe that is refused does not lengthen a hold for another reason, unless the refusals agree', async () => {
  const { ask, end, setState } = await openLane('one/a', 'one/b', 'two/c');
  const { atMs } = await end('throttled', 'one/a');
  await setState({ heldUntil: atMs });
  for (const source of ['one/a', 'one/b']) expect((await end('refused', source)).heldUntilMs).toBe(0);
  expect(await ask('two/c')).toMatchObject({ granted: 1, isProbe: true });
  await setState({ probedAt: atMs - probeMs });
  expect((await end('refused', 'two/c')).began).toBe(true);
});

it('a batch of a tenant of which none has failed may probe at once, however many of another have', async () => {
  const { ask, end, setState } = await openLane('a', 'b');
  await end('refused', 'a');
  await end('refused', 'b');
  await setState({ failedSources: Array.from({ length: 32 }, (_, i) => `acme/other${i}`).join(',') });
  await delay(2);
  expect(await ask('two/c')).toMatchObject({ granted: 1, isProbe: true });
});

describe('while all refusals are of one tenant', () => {
  const hold = async () => {
    const lane = await openLane('a', 'b');
    await lane.end('refused', 'a');
    expect((await lane.end('refused', 'b')).began).toBe(true);
    await delay(2);
    return lane;
  };
  const askForThree = ({ control }: Awaited<ReturnType<typeof hold>>, source: string) =>
    control.admit([0, 0, 0], probeMs, source);

  it('all calls of another go in spite of the hold', async () => {
    const lane = await hold();
    expect(await askForThree(lane, 'two/c')).toMatchObject({ granted: 3, isProbe: true });
    expect(await askForThree(lane, 'two/c')).toMatchObject({ granted: 3 });
    expect(await askForThree(lane, 'acme/a')).toMatchObject({ granted: 0 });
  });

  it.each([
    ['a look was refused too', { looksLeft: 10 }],
    ['another tenant was refused too', { failedSources: 'acme/a,three/d' }],
  ])('and one call when %s', async (_, state) => {
    const lane = await hold();
    await lane.setState(state);
    expect(await askForThree(lane, 'two/c')).toMatchObject({ granted: 1, isProbe: true });
  });

  it('a question says whether another waits in the lane', async () => {
    const { ask, addJob } = await hold();
    await addJob('acme/c');
    expect(await ask('a')).toMatchObject({ granted: 0, othersWait: false });
    await addJob('two/d');
    expect(await ask('a')).toMatchObject({ granted: 0, othersWait: true });
  });
});

it('a batch that has not failed may probe, however many have', async () => {
  const { ask, end, setState } = await openLane('a', 'b');
  await end('refused', 'a');
  const { began, atMs } = await end('refused', 'b');
  expect(began).toBe(true);
  await setState({ failedSources: Array.from({ length: 32 }, (_, i) => `acme/other${i}`).join(',') });
  await delay(2);
  // One of those that the full list has forgotten might be asking.
  expect(await ask('c')).toMatchObject({ granted: 0, waitFor: 'hold' });
  await setState({ heldAt: atMs - 1000 });
  expect(await ask('c')).toMatchObject({ granted: 1, isProbe: true });
});
