import { afterAll, beforeAll, expect, test } from 'vitest';
import { createTenantIndex } from '../src/index.ts';
import { openRedisSpace, type RedisSpace } from './redis-space.ts';

let space: RedisSpace;

beforeAll(() => {
  space = openRedisSpace();
});
afterAll(() => space.close());

test('notes a tenant with its first file or batch, and again only when that failed', async () => {
  const index = createTenantIndex(space.redis, space.keys);
  await space.redis.set(space.keys.tenants, 'not a set');
  await index.note('ada');
  await space.redis.del(space.keys.tenants);
  await index.note('ada');
  expect(await index.all()).toEqual(['ada']);

  await space.redis.del(space.keys.tenants);
  await index.note('ada');
  await index.note('bob');
  expect(await index.all()).toEqual(['bob']);
});
