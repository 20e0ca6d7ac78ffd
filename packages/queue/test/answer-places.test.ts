import { afterAll, beforeAll, expect, test } from 'vitest';
import { type AnswerPlace, createAnswerPlaces } from '../src/index.ts';
import { openRedisSpace, type RedisSpace } from './redis-space.ts';

let space: RedisSpace;
beforeAll(() => {
  space = openRedisSpace();
});
afterAll(() => space.close());

const placeAt = (offset: number, answeredAt = 1000): AnswerPlace => ({
  fileId: 'file-a',
  offset,
  length: 5,
  answeredAt,
});
const known = (from: number, to: number, answeredAt?: number) =>
  Array.from({ length: to - from }, (_, i) => ({ hash: `h${from + i}`, place: placeAt(from + i, answeredAt) }));

test('an answer is found by its tenant, and by no other', async () => {
  const places = createAnswerPlaces(space.redis, space.keys);
  await places.add('acme', known(0, 1200));
  expect(await places.find('acme', ['h0', 'none', 'h1199'], 0)).toEqual([placeAt(0), undefined, placeAt(1199)]);
  expect(await places.find('globex', ['h0', 'h1199'], 0)).toEqual([undefined, undefined]);
  expect(await places.find('acme', [], 0)).toEqual([]);
});

test('an answer from before the time asked for is not found, and a later one takes its place', async () => {
  const places = createAnswerPlaces(space.redis, space.keys);
  await places.add('late', known(0, 1, 1000));
  expect(await places.find('late', ['h0'], 1000)).toEqual([placeAt(0, 1000)]);
  expect(await places.find('late', ['h0'], 1001)).toEqual([undefined]);
  await places.add('late', [{ hash: 'h0', place: placeAt(9, 2000) }]);
  expect(await places.find('late', ['h0'], 1001)).toEqual([placeAt(9, 2000)]);
});

test('a tenant has a bounded number of places, and the oldest go first', async () => {
  const places = createAnswerPlaces(space.redis, space.keys, 10);
  for (let from = 0; from < 95; from += 5) await places.add('busy', known(from, from + 5));
  const all = known(0, 95).map(({ hash }) => hash);
  const found = (await places.find('busy', all, 0)).flatMap((place) => (place ? [place.offset] : []));
  expect(found).toEqual(Array.from({ length: 15 }, (_, i) => 80 + i));
  const kept = [space.keys.answerPlaces('busy'), space.keys.olderAnswerPlaces('busy')];
  for (const key of kept) {
    expect(await space.redis.hlen(key)).toBeLessThanOrEqual(10);
    expect(await space.redis.ttl(key)).toBeGreaterThan(29 * 86_400);
  }
  expect(places.most).toBe(20);
});
