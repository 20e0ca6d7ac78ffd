import { afterAll, beforeAll, expect, it } from 'vitest';
import { createLiveCounts } from '../src/index.ts';
import { openRedisSpace, type RedisSpace } from './redis-space.ts';

let space: RedisSpace;
beforeAll(() => {
  space = openRedisSpace();
});
afterAll(() => space.close());

it('each process reads what the others told last, and one that has died is forgotten', async () => {
  const { redis, keys } = space;
  const [one, two, three] = [
    createLiveCounts(redis, keys, 'one'),
    createLiveCounts(redis, keys, 'two'),
    createLiveCounts(redis, keys, 'three'),
  ];
  const counts = [{ lane: 'simulator', tenant: '__proto__', calls: 3 }];
  await one.tell([]);
  await one.tell(counts);
  await two.tell([{ lane: 'simulator', tenant: 'acme', calls: 1 }]);
  expect(await two.ofOthers()).toEqual(counts);
  expect(new Set((await three.ofOthers()).map(({ calls }) => calls))).toEqual(new Set([1, 3]));
  expect(await redis.pttl(keys.liveCounts('two'))).toBeLessThanOrEqual(10_000);
  // As when its time is over.
  await redis.del(keys.liveCounts('two'));
  expect(await three.ofOthers()).toEqual(counts);
  expect(await redis.smembers(keys.liveApis)).toEqual(['one']);
  await one.forget();
  expect(await three.ofOthers()).toEqual([]);
});
