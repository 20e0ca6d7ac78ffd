import { batchStatuses, isTerminal, noCost, noUsage } from '@promptmill/core';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { type BatchStore, createBatchStore, type Cursor } from '../src/index.ts';
import { createdAt, newBatch } from './new-batch.ts';
import { findKeys } from '../../../tests/support/redis-keys.ts';
import { openRedisSpace, type RedisSpace } from './redis-space.ts';

const nowMs = createdAt * 1000 + 1500;

let space: RedisSpace;
/** The same batches over several connections, as several processes have them. */
let stores: BatchStore[];
let store: BatchStore;

beforeAll(() => {
  space = openRedisSpace();
  store = createBatchStore(space.redis, space.keys);
  stores = [store, ...Array.from({ length: 4 }, () => createBatchStore(space.connect(), space.keys))];
});

afterAll(() => space.close());

/** Runs `step` `count` times at once, over all connections. */
const race = <T>(count: number, step: (store: BatchStore, turn: number) => Promise<T>): Promise<T[]> =>
  Promise.all(Array.from({ length: count }, (_, turn) => step(stores[turn % stores.length] ?? store, turn)));

const createBatch = async (more: Parameters<typeof newBatch>[0] = {}): Promise<string> => {
  const batch = newBatch(more);
  await store.create(batch);
  await store.confirmCreated(batch, nowMs);
  return batch.id;
};

const cursorAt = (dispatched: number): Cursor => ({
  dispatched,
  cursorOffset: dispatched * 100,
  cursorLine: dispatched + 1,
  positions: { xai: dispatched },
});

test('a created batch is validating, and has all it was created with', async () => {
  const batch = newBatch({ outputExpiresAfterSeconds: 3600 });
  await store.create(batch);
  expect(await store.get(batch.id)).toEqual({
    ...batch,
    status: 'validating',
    errors: [],
    outputPublished: false,
    errorPublished: false,
    total: 0,
    completed: 0,
    failed: 0,
    inLanes: 0,
    retries: 0,
    usage: noUsage,
    cost: noCost,
    waitingFor: [],
    retriedBy: [],
  });
  expect(await store.get(newBatch().id)).toBeUndefined();
});

test('creating a batch again changes nothing, and does not let a confirmed one expire', async () => {
  const batch = newBatch();
  await store.create(batch);
  await store.confirmCreated(batch, nowMs);
  await store.transition(batch.id, 'in_progress', nowMs);
  await store.create({ ...batch, metadata: null });
  expect(await store.get(batch.id)).toMatchObject({ status: 'in_progress', metadata: { run: '7' } });
  expect(await space.redis.ttl(space.keys.batch(batch.id))).toBe(-1);
});

test('a batch whose creation is not confirmed expires and is not listed; a confirmed one stays', async () => {
  const batch = newBatch({ tenant: 'unsure' });
  await store.create(batch);
  const ttlSeconds = await space.redis.ttl(space.keys.batch(batch.id));
  expect(ttlSeconds).toBeGreaterThan(3500);
  expect(ttlSeconds).toBeLessThanOrEqual(3600);
  expect(await store.list('unsure', { limit: 10 })).toEqual({ items: [], hasMore: false });

  await store.confirmCreated(batch, nowMs);
  await store.confirmCreated(batch, nowMs + 5000);
  expect(await space.redis.ttl(space.keys.batch(batch.id))).toBe(-1);
  expect(await store.list('unsure', { limit: 10 })).toMatchObject({ items: [{ id: batch.id }], hasMore: false });
});

test('45 batches of one moment come in pages, newest first, each once and to their tenant only', async () => {
  const created: string[] = [];
  for (let i = 0; i < 45; i++) created.push(await createBatch({ tenant: 'many' }));
  await createBatch({ tenant: 'other' });

  const pages: string[][] = [];
  let after: string | undefined;
  for (;;) {
    const page = await store.list('many', { after, limit: 20 });
    pages.push(page?.items.map(({ id }) => id) ?? []);
    if (!page?.hasMore) break;
    after = page.items.at(-1)?.id;
  }
  expect(pages.map(({ length }) => length)).toEqual([20, 20, 5]);
  expect(pages.flat()).toEqual(created.toReversed());
  expect((await store.list('many', { limit: 45 }))?.hasMore).toBe(false);
  expect((await store.list('many', { limit: 44 }))?.hasMore).toBe(true);
  expect(await store.list('many', { after: created[0], limit: 20 })).toEqual({ items: [], hasMore: false });
});

test('a page after a batch that is not this tenant’s is refused', async () => {
  const id = await createBatch({ tenant: 'owner' });
  expect(await store.list('stranger', { after: id, limit: 20 })).toBeUndefined();
  expect(await store.list('owner', { after: newBatch().id, limit: 20 })).toBeUndefined();
});

test('of 50 attempts at the same transition exactly one moves, and its fields stand', async () => {
  const id = await createBatch();
  const outcomes = await race(50, (store, turn) => store.transition(id, 'in_progress', nowMs, { total: turn + 1 }));
  const winners = outcomes.flatMap(({ kind }, turn) => (kind === 'moved' ? [turn] : []));
  expect(winners).toHaveLength(1);
  expect(outcomes.filter(({ kind }) => kind === 'refused')).toHaveLength(49);
  expect(await store.get(id)).toMatchObject({ status: 'in_progress', total: (winners[0] ?? 0) + 1 });
});

test('of 50 attempts at two next statuses exactly one moves', async () => {
  const id = await createBatch();
  await store.transition(id, 'in_progress', nowMs);
  const targets = ['finalizing', 'expired'] as const;
  const outcomes = await race(50, async (store, turn) => {
    const to = targets[turn % 2] ?? 'expired';
    return { to, ...(await store.transition(id, to, nowMs)) };
  });
  const moved = outcomes.filter(({ kind }) => kind === 'moved');
  expect(moved).toHaveLength(1);
  expect((await store.get(id))?.status).toBe(moved[0]?.to);
});

test('a transition writes its timestamp in seconds and its fields', async () => {
  const id = await createBatch();
  const errors = [{ code: 'empty_file', message: 'Empty.', param: null, line: null }];
  expect(await store.transition(id, 'failed', nowMs, { errors, failed: 3, model: 'xai/grok-4' })).toEqual({
    kind: 'moved',
  });
  expect(await store.get(id)).toMatchObject({
    status: 'failed',
    failedAt: createdAt + 1,
    errors,
    failed: 3,
    model: 'xai/grok-4',
  });
});

test('a refused transition writes nothing', async () => {
  const id = await createBatch();
  const before = await store.get(id);
  expect(await store.transition(id, 'completed', nowMs, { failed: 9, outputPublished: true })).toEqual({
    kind: 'refused',
    status: 'validating',
  });
  expect(await store.get(id)).toEqual(before);
});

test('a missing batch cannot move, and is not created', async () => {
  const { id } = newBatch();
  expect(await store.transition(id, 'in_progress', nowMs, { total: 5 })).toEqual({ kind: 'missing' });
  expect(await space.redis.exists(space.keys.batch(id))).toBe(0);
});

test.each([
  [['failed']],
  [['in_progress', 'expired']],
  [['in_progress', 'finalizing', 'completed']],
  [['cancelling', 'cancelled']],
] as const)('a batch that went %j never changes again', async (way) => {
  const id = await createBatch();
  for (const status of way) expect(await store.transition(id, status, nowMs)).toEqual({ kind: 'moved' });
  const ended = await store.get(id);
  expect(ended && isTerminal(ended.status)).toBe(true);
  for (const status of batchStatuses)
    expect(await store.transition(id, status, nowMs + 60_000, { total: 9 })).toEqual({
      kind: 'refused',
      status: ended?.status,
    });
  expect(await store.get(id)).toEqual(ended);
});

test('a new batch has dispatched nothing, and is not ready though nothing is missing', async () => {
  expect(await store.dispatchState(await createBatch())).toEqual({
    dispatched: 0,
    cursorOffset: 0,
    countedBytes: 0,
    cursorLine: 1,
    positions: {},
    outstanding: 0,
    repeats: 0,
    openShards: 0,
    returningShards: 0,
    waitingHandedOff: 0,
    copiedAhead: 0,
    outstandingBytes: 0,
    collected: 0,
    parked: false,
    uncollected: 0,
    uncollectedBytes: 0,
    sealed: false,
    ready: false,
  });
});

test('the cursor tells how many requests are dispatched, and so how many are outstanding', async () => {
  const id = await createBatch();
  expect(await store.advanceCursor(id, 0, cursorAt(500))).toBe('halted');
  await store.transition(id, 'in_progress', nowMs);
  expect(await store.advanceCursor(id, 500, cursorAt(700))).toBe('moved');
  expect(await store.dispatchState(id)).toMatchObject({ ...cursorAt(700), outstanding: 700, outstandingBytes: 70_000 });
});

test.each([
  ['paused', (id: string) => store.pause(id, nowMs)],
  ['stopped', (id: string) => store.stop(id, 'cancelled', nowMs)],
  ['cancelled', (id: string) => store.transition(id, 'cancelling', nowMs)],
])('a dispatcher that moves the cursor of a batch that is %s is told so', async (_, halt) => {
  const id = await createBatch();
  await store.transition(id, 'in_progress', nowMs);
  await halt(id);
  expect(await store.advanceCursor(id, 0, cursorAt(500))).toBe('halted');
  expect(await store.dispatchState(id)).toMatchObject(cursorAt(500));
});

test('of 50 dispatchers at one cursor exactly one moves it', async () => {
  const id = await createBatch();
  await store.advanceCursor(id, 0, cursorAt(500));
  const moved = await race(50, (store, turn) => store.advanceCursor(id, 500, cursorAt(501 + turn)));
  expect(moved.filter((outcome) => outcome !== 'overtaken')).toHaveLength(1);
  expect(await store.dispatchState(id)).toMatchObject(
    cursorAt(501 + moved.findIndex((outcome) => outcome !== 'overtaken')),
  );
});

test('a dispatcher that is behind moves nothing', async () => {
  const id = await createBatch();
  await store.advanceCursor(id, 0, cursorAt(500));
  expect(await store.advanceCursor(id, 0, cursorAt(300))).toBe('overtaken');
  expect(await store.dispatchState(id)).toMatchObject(cursorAt(500));
});

test('the first reason to stop stands', async () => {
  const id = await createBatch();
  await store.stop(id, 'cancelled', nowMs);
  await store.stop(id, 'expired', nowMs);
  expect(await store.dispatchState(id)).toMatchObject({ stopping: 'cancelled', sealed: false, ready: false });
});

test('a cancel that also sets the status is a stop', async () => {
  const id = await createBatch();
  await store.transition(id, 'cancelling', nowMs, { stopping: 'cancelled' });
  expect(await store.dispatchState(id)).toMatchObject({ stopping: 'cancelled' });
});

test('the time for calls in flight counts from the stop, not from the deadline', async () => {
  const [expired, cancelled] = [await createBatch(), await createBatch()];
  await store.stop(expired, 'expired', nowMs + 90_000);
  await store.transition(cancelled, 'cancelling', nowMs + 30_000, { stopping: 'cancelled' });
  expect(await store.dispatchState(expired)).toMatchObject({ stoppedAt: Math.floor(nowMs / 1000) + 90 });
  expect(await store.dispatchState(cancelled)).toMatchObject({ stoppedAt: Math.floor(nowMs / 1000) + 30 });
});

test('pausing and resuming again change nothing', async () => {
  const id = await createBatch();
  const since = Math.floor(nowMs / 1000);
  expect(await store.resume(id)).toEqual({ kind: 'done', pause: { number: 1 } });
  expect(await store.pause(id, nowMs)).toEqual({ kind: 'done', pause: { number: 2, since } });
  expect(await store.pause(id, nowMs + 5000)).toMatchObject({ kind: 'done' });
  expect(await store.get(id)).toMatchObject({ status: 'validating', pausedAt: Math.floor(nowMs / 1000) });
  await store.transition(id, 'in_progress', nowMs);
  expect(await store.get(id)).toMatchObject({ status: 'in_progress', pausedAt: Math.floor(nowMs / 1000) });
  expect(await store.resume(id)).toMatchObject({ kind: 'done' });
  expect((await store.get(id))?.pausedAt).toBeUndefined();
});

test('a pause is repeated only when neither it nor a later one is known', async () => {
  const id = await createBatch();
  const since = Math.floor(nowMs / 1000);
  const pausedAt = async () => (await store.get(id))?.pausedAt;
  expect(await store.pauseAgain(id, { number: 2, since })).toMatchObject({ kind: 'done' });
  expect(await pausedAt()).toBe(since);
  expect(await store.pauseAgain(id, { number: 1 })).toEqual({ kind: 'known' });
  expect(await pausedAt()).toBe(since);
  expect(await store.resume(id)).toEqual({ kind: 'done', pause: { number: 3 } });
  expect(await store.pauseAgain(id, { number: 2, since })).toEqual({ kind: 'known' });
  expect(await pausedAt()).toBeUndefined();
});

test('a batch that may start no more calls is neither paused nor resumed', async () => {
  const id = await createBatch();
  await store.transition(id, 'in_progress', nowMs);
  await store.pause(id, nowMs);
  await store.stop(id, 'expired', nowMs);
  for (const outcome of [await store.pause(id, nowMs), await store.resume(id)])
    expect(outcome).toEqual({ kind: 'refused', status: 'expired' });
  const ending = await createBatch();
  await store.transition(ending, 'in_progress', nowMs);
  await store.transition(ending, 'finalizing', nowMs);
  expect(await store.pause(ending, nowMs)).toEqual({ kind: 'refused', status: 'finalizing' });
  expect(await store.pause(newBatch().id, nowMs)).toEqual({ kind: 'missing' });
});

test('a retry and its batch name each other, once, as soon as the retry is confirmed', async () => {
  const id = await createBatch();
  const retries = [newBatch({ retryOf: id }), newBatch({ retryOf: id }), newBatch({ retryOf: newBatch().id })];
  for (const retry of retries) await store.create(retry);
  expect(await store.get(id)).toMatchObject({ retriedBy: [] });
  for (const retry of [...retries, ...retries]) await store.confirmCreated(retry, nowMs);
  expect(await store.get(id)).toMatchObject({ retriedBy: [retries[0]?.id, retries[1]?.id] });
  expect(await store.get(retries[0]?.id ?? '')).toMatchObject({ retryOf: id, retriedBy: [] });
  expect(await store.get(retries[2]?.retryOf ?? '')).toBeUndefined();
});

test('a batch names its last 100 retries', async () => {
  const id = await createBatch();
  const retries = Array.from({ length: 103 }, () => newBatch({ retryOf: id }));
  for (const retry of retries) await store.confirmCreated(retry, nowMs);
  expect((await store.get(id))?.retriedBy).toEqual(retries.slice(3).map((retry) => retry.id));
});

test('a sealed batch without results is ready, with the total it was sealed with', async () => {
  const id = await createBatch();
  await store.seal(id, 45);
  expect(await store.dispatchState(id)).toMatchObject({ sealed: true, ready: true });
  expect(await store.get(id)).toMatchObject({ total: 45, completed: 0, failed: 0 });
});

test('a batch that was removed leaves no key, and is in no list', async () => {
  const batch = newBatch({ tenant: 'removing' });
  await store.create(batch);
  await store.confirmCreated(batch, nowMs);
  const kept = await createBatch({ tenant: 'removing' });
  await store.advanceCursor(batch.id, 0, cursorAt(20_000));
  await space.redis.setbit(space.keys.settledBits(batch.id), 7, 1);
  await space.redis.rpush(space.keys.segments(batch.id), '0-7-a');
  expect(await findKeys(space.redis, `*${batch.id}*`)).toHaveLength(4);

  await store.remove(batch, nowMs);
  await store.remove(batch, nowMs);
  expect(await findKeys(space.redis, `*${batch.id}*`)).toEqual([]);
  expect(await store.get(batch.id)).toBeUndefined();
  expect((await store.list('removing', { limit: 10 }))?.items.map(({ id }) => id)).toEqual([kept]);
  // A listing that stood at it continues.
  expect(await store.list('removing', { after: batch.id, limit: 10 })).toEqual({ items: [], hasMore: false });
});

test('a batch whose record was lost while a step wrote to it can be created again', async () => {
  const batch = newBatch();
  await store.observe(batch.id, { requestsPerSecond: 3, waitingFor: [] });
  expect(await store.get(batch.id)).toBeUndefined();
  await store.create(batch);
  expect(await store.get(batch.id)).toMatchObject({ status: 'validating', total: 0 });
  expect(await store.get(batch.id)).not.toHaveProperty('requestsPerSecond');
});

test('batches are found by what they are, some at a time', async () => {
  const tenant = 'searcher';
  const ids: string[] = [];
  for (let i = 0; i < 5; i++) {
    const batch = newBatch({ tenant, metadata: i % 2 === 0 ? { name: 'even' } : null });
    ids.push(batch.id);
    await store.create(batch);
    await store.confirmCreated(batch, nowMs + i);
  }
  const even = ids.filter((_, i) => i % 2 === 0).toReversed();
  const matches = ({ metadata }: { metadata: unknown }): boolean => metadata !== null;
  const first = await store.find(tenant, { limit: 2, matches });
  expect([first?.items.map(({ id }) => id), first?.hasMore]).toEqual([even.slice(0, 2), true]);
  const second = await store.find(tenant, { after: first?.lastId, limit: 2, matches });
  expect([second?.items.map(({ id }) => id), second?.hasMore]).toEqual([even.slice(2), false]);
  expect(await store.find(tenant, { after: newBatch().id, limit: 2, matches })).toBeUndefined();
});

test('a search looks at 1,000 batches a call', async () => {
  const tenant = 'of-many-batches';
  const batches = Array.from({ length: 1050 }, () => newBatch({ tenant }));
  await Promise.all(
    batches.map(async (batch, i) => {
      await store.create(batch);
      await store.confirmCreated(batch, nowMs + i);
    }),
  );
  const oldest = batches[0]?.id;
  const matches = ({ id }: { id: string }): boolean => id === oldest;
  const first = await store.find(tenant, { limit: 10, matches });
  expect(first).toMatchObject({ items: [], hasMore: true, lastId: batches[50]?.id });
  expect(await store.find(tenant, { after: first?.lastId, limit: 10, matches })).toMatchObject({
    items: [{ id: oldest }],
    hasMore: false,
  });
});

test('the curve of a batch has 240 points at most, spread over its life', async () => {
  const id = await createBatch();
  const note = (at: number, completed: number): Promise<void> =>
    store.noteProgress(id, { at, completed, failed: 1, retries: 2 });
  await note(createdAt, 0);
  await note(createdAt, 5);
  await note(createdAt + 1, 0);
  await note(createdAt + 1, 5);
  expect(await store.progress(id)).toEqual([
    { at: createdAt, completed: 0, failed: 1, retries: 2 },
    { at: createdAt + 1, completed: 5, failed: 1, retries: 2 },
  ]);
  for (let second = 2; second <= 1500; second++) await note(createdAt + second, second * 10);
  const points = await store.progress(id);
  expect(points.length).toBeGreaterThan(100);
  expect(points.length).toBeLessThanOrEqual(240);
  expect(points[0]?.at).toBe(createdAt);
  const gaps = points.slice(1).map(({ at }, i) => at - (points[i]?.at ?? 0));
  expect(Math.max(...gaps)).toBeLessThanOrEqual(30);
  expect(points.at(-1)?.at).toBeGreaterThan(createdAt + 1450);
});
