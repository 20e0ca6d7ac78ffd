import { afterAll, beforeAll, expect, test } from 'vitest';
import { createClaims } from '../src/index.ts';
import { findKeys } from '../../../tests/support/redis-keys.ts';
import { openRedisSpace, type RedisSpace } from './redis-space.ts';

let space: RedisSpace;

beforeAll(() => {
  space = openRedisSpace();
});
afterAll(() => space.close());

const open = (kind: 'batch' | 'file' = 'file') => createClaims<number>(space.redis, space.keys, kind);
const request = (key: string) => ({ tenant: 'acme', key, contentHash: 'a' });

test('of 50 claims at once one is new, and all get what it made', async () => {
  const claims = open();
  const outcomes = await Promise.all(
    Array.from({ length: 50 }, (_, fresh) => claims.claim({ ...request('race'), fresh })),
  );
  const winner = outcomes.find(({ kind }) => kind === 'new');
  expect(outcomes.filter(({ kind }) => kind === 'repeated')).toHaveLength(49);
  for (const outcome of outcomes)
    expect(outcome).toMatchObject({ made: winner?.kind === 'new' ? winner.made : 'none' });
});

test('a key stands for a day, for one content, of one tenant and kind', async () => {
  const claims = open();
  const first = { ...request('same'), fresh: 1 };
  expect(await claims.claim(first)).toEqual({ kind: 'new', made: 1 });
  expect(await claims.claim({ ...first, fresh: 2 })).toEqual({ kind: 'repeated', made: 1 });
  expect(await claims.claim({ ...first, contentHash: 'b', fresh: 2 })).toEqual({ kind: 'conflict' });
  expect(await claims.claim({ ...first, tenant: 'other', fresh: 2 })).toEqual({ kind: 'new', made: 2 });
  expect(await open('batch').claim({ ...first, fresh: 2 })).toEqual({ kind: 'new', made: 2 });
  for (const name of await findKeys(space.redis, `${space.prefix}:*`)) {
    const ttlSeconds = await space.redis.ttl(name);
    expect(ttlSeconds).toBeGreaterThan(86_400 - 60);
    expect(ttlSeconds).toBeLessThanOrEqual(86_400);
  }
});

test('a key is freed only by a caller that knows its claim', async () => {
  const claims = open();
  await claims.claim({ ...request('freed'), fresh: 1 });
  await claims.release(request('freed'), 2);
  expect(await claims.claim({ ...request('freed'), fresh: 3 })).toMatchObject({ kind: 'repeated' });
  await claims.release(request('freed'), 1);
  expect(await claims.claim({ ...request('freed'), fresh: 3 })).toEqual({ kind: 'new', made: 3 });
});
