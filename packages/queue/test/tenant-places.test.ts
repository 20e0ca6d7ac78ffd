import { type FileRecord, newFileId } from '@promptmill/core';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import {
  createBatchCounts,
  createBatchStore,
  createFileRecords,
  createTenantPlaces,
  type FileRecords,
  type PlaceOutcome,
  type TenantPlaces,
} from '../src/index.ts';
import { createdAt, newBatch } from './new-batch.ts';
import { openRedisSpace, type RedisSpace } from './redis-space.ts';

const nowMs = createdAt * 1000;
const hourMs = 3_600_000;

let space: RedisSpace;
/** As two apis see them. */
let records: readonly [FileRecords, FileRecords];
let places: readonly [TenantPlaces, TenantPlaces];

beforeAll(() => {
  space = openRedisSpace();
  const other = space.connect();
  records = [createFileRecords(space.redis, space.keys), createFileRecords(other, space.keys)];
  places = [createTenantPlaces(space.redis, space.keys), createTenantPlaces(other, space.keys)];
});
afterAll(() => space.close());

const putFile = async (tenant: string, bytes = 10): Promise<FileRecord> => {
  const file: FileRecord = { id: newFileId(), tenant, filename: 'a.jsonl', purpose: 'batch', bytes, createdAt };
  await records[0].put(file);
  return file;
};

const each = <T>(count: number, work: (i: number) => Promise<T>): Promise<T[]> =>
  Promise.all(Array.from({ length: count }, (_, i) => work(i)));
const kinds = (outcomes: readonly { readonly kind: string }[], kind: string): number =>
  outcomes.filter((outcome) => outcome.kind === kind).length;

describe('active batches', () => {
  it('are, with their requests, never more than the limit, and each counts once', async () => {
    const tenant = 'active';
    const { id } = await putFile(tenant);
    const use = (i: number, limits: object) =>
      (i % 2 === 0 ? records[0] : records[1]).use(tenant, id, { batchId: `b${i % 25}`, requests: 10, limits }, nowMs);
    expect(kinds(await each(50, (i) => use(i, { activeBatches: 5 })), 'noted')).toBeGreaterThanOrEqual(5);
    expect(await records[0].used(tenant)).toMatchObject({ activeBatches: 5, queuedRequests: 50 });
    expect(await use(99, { activeBatches: 5 })).toEqual({ kind: 'over limit', what: 'batches', used: 5 });
    expect(await use(99, { queuedRequests: 59 })).toEqual({ kind: 'over limit', what: 'requests', used: 50 });
    await each(25, (i) => records[0].release(tenant, id, `b${i}`));
    expect(await records[0].used(tenant)).toMatchObject({ activeBatches: 0, queuedRequests: 0 });
  });

  it('count no more an hour after their creation broke off', async () => {
    const tenant = 'broken';
    const { id } = await putFile(tenant);
    const limits = { activeBatches: 2 };
    await records[0].use(tenant, id, { batchId: 'broken', requests: 1, limits }, nowMs);
    await records[0].use(tenant, id, { batchId: 'made', requests: 1, limits }, nowMs);
    await records[0].use(tenant, id, { batchId: 'made', requests: 1 }, nowMs + 1000);
    const next = { batchId: 'next', requests: 1, limits };
    expect(await records[0].use(tenant, id, next, nowMs + hourMs - 1000)).toMatchObject({ kind: 'over limit' });
    expect(await records[0].use(tenant, id, next, nowMs + hourMs)).toEqual({ kind: 'noted' });
    expect(await records[0].used(tenant)).toMatchObject({ activeBatches: 2, queuedRequests: 2 });
  });
});

describe('stored bytes', () => {
  it('are the sum of the files, each counted once', async () => {
    const tenant = 'stored';
    const file = await putFile(tenant, 700);
    await records[1].put(file);
    const other = await putFile(tenant, 50);
    expect((await records[0].used(tenant)).storedBytes).toBe(750);
    await records[0].delete(tenant, file.id, nowMs);
    await records[0].delete(tenant, file.id, nowMs);
    expect((await records[0].used(tenant)).storedBytes).toBe(50);
    await records[0].delete(tenant, other.id, nowMs);
    expect((await records[0].used(tenant)).storedBytes).toBe(0);
  });

  it('and those reserved for uploads are never more than the limit', async () => {
    const tenant = 'reserved';
    const take = (id: string, least: number, wanted = least): Promise<PlaceOutcome> =>
      places[1].take({ tenant, kind: 'uploads', id, amount: { least, wanted, most: 1000 } });
    const outcomes = await each(50, (i) => take(`u${i}`, 100));
    expect(kinds(outcomes, 'taken')).toBe(10);
    expect(await take('more', 1)).toEqual({ kind: 'over limit', what: 'amount', used: 1000 });
    await places[0].giveBack({ tenant, kind: 'uploads', id: 'u0' });
    expect(await take('u1', 150, 500)).toEqual({ kind: 'taken', amount: 200 });
    // A file's record takes the place of what was reserved for it.
    const file: FileRecord = { id: 'u1', tenant, filename: 'a', purpose: 'batch', bytes: 120, createdAt };
    await records[0].put(file);
    expect(await take('more', 80)).toEqual({ kind: 'taken', amount: 80 });
    expect(await take('again', 1)).toEqual({ kind: 'over limit', what: 'amount', used: 1000 });
  });
});

describe('places', () => {
  it('are never more than the limit, and those of a dead process become free', async () => {
    const tenant = 'places';
    const take = (i: number): Promise<PlaceOutcome> =>
      (i % 2 === 0 ? places[0] : places[1]).take({ tenant, kind: 'streams', id: `s${i}`, most: 6 });
    expect(kinds(await each(50, take), 'taken')).toBe(6);
    expect(await take(99)).toEqual({ kind: 'over limit', what: 'places', used: 6 });
    const [dead = ''] = await space.redis.zrange(space.keys.places(tenant, 'streams'), '0', '0');
    await space.redis.zadd(space.keys.places(tenant, 'streams'), Date.now() - 1, dead);
    expect(kinds(await each(2, (i) => take(100 + i)), 'taken')).toBe(1);
  });
});

describe('bytes in the lanes', () => {
  const most = { ofTenant: 400, ofAll: 1000 };
  const window = 100;

  it('of a tenant and of all are bounded; what has less than half of its share goes on', async () => {
    const batches = createBatchStore(space.redis, space.keys);
    const counts = createBatchCounts(space.redis, space.keys);
    const reserve = async (tenant: string) => {
      const batch = newBatch({ tenant });
      await batches.create(batch);
      return { batch, bytes: await counts.countBytes(batch, window, most) };
    };
    const reserveMany = async (tenant: string, count: number) =>
      (await each(count, () => reserve(tenant))).map(({ bytes }) => bytes);
    expect(await reserveMany('one', 6)).toEqual([100, 100, 100, 100, 40, 33]);
    expect(await reserveMany('two', 4)).toEqual([100, 100, 100, 100]);
    // All have 873 of 1000; the third tenant gets what is left, and then goes on up to half of its share.
    expect(await reserveMany('three', 3)).toEqual([100, 66, 0]);
    expect(await reserveMany('four', 1)).toEqual([100]);

    const { batch } = await reserve('five');
    await batches.advanceCursor(batch.id, 0, { dispatched: 1, cursorOffset: 30, cursorLine: 2, positions: {} });
    expect(await counts.countBytes(batch, 0)).toBe(30);
    expect(await space.redis.hget(space.keys.bytesOfTenants, 'five')).toBe('30');
    expect((await batches.dispatchState(batch.id)).countedBytes).toBe(30);
    await counts.countBytes(batch, -1);
    expect(await space.redis.hget(space.keys.bytesOfTenants, 'five')).toBeNull();
    expect(await space.redis.exists(space.keys.bytesOfBatches('five'))).toBe(0);
  });
});
