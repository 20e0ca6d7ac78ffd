import { once } from 'node:events';
import type { Delta } from '@promptmill/core';
import { afterEach, beforeEach, expect, it, vi } from 'vitest';
import {
  connectRedis,
  createDeltaPublisher,
  createDeltaSubscriber,
  type DeltaSubscriber,
  type RedisConnection,
  untilReady,
} from '../src/index.ts';
import { openRedisSpace, type RedisSpace } from './redis-space.ts';

const request = { batchId: 'batch_00000001', customId: 'a' };

let space: RedisSpace;
let subscriber: DeltaSubscriber;
let listening: RedisConnection;

const connect = () => connectRedis({ url: space.url, whileAway: 'wait', onError: () => {} });

beforeEach(() => {
  space = openRedisSpace();
  subscriber = createDeltaSubscriber(() => (listening = connect()), space.keys);
});

afterEach(async () => {
  subscriber.close();
  await space.close();
});

const listen = async (batchId = request.batchId): Promise<{ heard: Delta[]; stop: () => void }> => {
  const heard: Delta[] = [];
  const stop = subscriber.subscribe(batchId, (delta) => heard.push(delta));
  await expect.poll(() => space.redis.spublish(space.keys.deltas(batchId), '[]')).toBeGreaterThan(0);
  return { heard, stop };
};

/** What screens show of a text: its deltas at their offsets. */
const textOf = (heard: readonly Delta[], index = 0): string =>
  heard
    .filter((delta) => delta.index === index)
    .reduce((text, { offset, delta }) => text.slice(0, offset).padEnd(offset, '…') + delta, '');

it('brings the text of a call to all listeners of its batch, and to no others', async () => {
  const [one, two, other] = [await listen(), await listen(), await listen('batch_00000002')];
  const call = createDeltaPublisher(space.redis, space.keys).open(request);
  for (const text of ['Bon', 'jour', '!']) call.add({ index: 0, text });
  call.add({ index: 1, text: 'Salut' });
  call.end(true);
  await expect.poll(() => two.heard.at(-1)).toEqual({ custom_id: 'a', index: 0, offset: 8, delta: '', done: true });
  expect(one.heard).toEqual(two.heard);
  expect(one.heard).toContainEqual({ custom_id: 'a', index: 0, offset: 0, delta: 'Bonjour!' });
  expect(one.heard).toContainEqual({ custom_id: 'a', index: 1, offset: 0, delta: 'Salut' });
  expect(other.heard).toEqual([]);
});

it('says nothing at the end of a call that broke off', async () => {
  const { heard } = await listen();
  const publisher = createDeltaPublisher(space.redis, space.keys);
  const broken = publisher.open(request);
  broken.add({ index: 0, text: 'Bon' });
  await expect.poll(() => heard).toHaveLength(1);
  broken.add({ index: 0, text: 'jo' });
  broken.end(false);
  const again = publisher.open(request);
  again.add({ index: 0, text: 'Salut' });
  again.end(true);
  await expect.poll(() => heard.at(-1)?.done).toBe(true);
  expect(heard.map(({ offset, delta }) => [offset, delta])).toEqual([
    [0, 'Bon'],
    [0, 'Salut'],
    [5, ''],
  ]);
});

it('joins pieces that come fast, into 20 messages a second at most', async () => {
  const { heard } = await listen();
  const publish = vi.spyOn(space.redis, 'spublish');
  const call = createDeltaPublisher(space.redis, space.keys).open(request);
  const startedAt = performance.now();
  let said = '';
  for (let count = 0; count < 100; count++) {
    const text = `${count} `;
    said += text;
    call.add({ index: 0, text });
    await new Promise((resolve) => {
      setTimeout(resolve, 2);
    });
  }
  call.end(true);
  await expect.poll(() => heard.at(-1)?.done).toBe(true);
  const seconds = (performance.now() - startedAt) / 1000;
  expect(textOf(heard)).toBe(said);
  // The first and the last go at once.
  expect(publish.mock.calls.length).toBeLessThanOrEqual(20 * seconds + 2);
});

it('hardly publishes while nobody listens, and gives a late listener the text from its beginning', async () => {
  const publish = vi.spyOn(space.redis, 'spublish');
  const call = createDeltaPublisher(space.redis, space.keys).open(request);
  const say = (text: string): void => call.add({ index: 0, text });
  say('One ');
  await expect.poll(() => publish.mock.calls.length).toBe(1);
  for (const text of ['two ', 'three ']) say(text);
  const { heard } = await listen();
  say('four');
  await expect.poll(() => textOf(heard)).toBe('One two three four');
  call.end(false);
});

it('stops listening', async () => {
  const { heard, stop } = await listen();
  stop();
  await expect.poll(() => space.redis.spublish(space.keys.deltas(request.batchId), '[]')).toBe(0);
  expect(heard).toEqual([]);
});

it('listens on after a lost connection', async () => {
  const { heard } = await listen();
  // Until Redis has seen the end of the old connection, it counts a listener there and the deltas go nowhere.
  const closed = once(listening, 'close');
  listening.disconnect(true);
  await closed;
  await expect.poll(() => space.redis.spublish(space.keys.deltas(request.batchId), '[]')).toBe(1);
  const call = createDeltaPublisher(space.redis, space.keys).open(request);
  call.add({ index: 0, text: 'Hi' });
  await expect.poll(() => textOf(heard)).toBe('Hi');
  call.end(false);
});

it('publishes nothing while Redis is away', async () => {
  const away = connect();
  await untilReady(away);
  away.disconnect();
  await expect.poll(() => ['close', 'end'].includes(away.status)).toBe(true);
  const publish = vi.spyOn(away, 'spublish');
  const call = createDeltaPublisher(away, space.keys).open(request);
  call.add({ index: 0, text: 'Hi' });
  call.end(true);
  await new Promise((resolve) => {
    setImmediate(resolve);
  });
  expect(publish).not.toHaveBeenCalled();
});
