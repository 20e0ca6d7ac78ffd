import { text } from 'node:stream/consumers';
import { answersFolder, newLiveCallId } from '@promptmill/core';
import { FileStoreError } from '@promptmill/files';
import type { RecordedResults } from '@promptmill/queue';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { collectResults } from '../src/collect-results.ts';
import { createMoveAnswers, type MoveAnswersOptions } from '../src/move-answers.ts';
import { type CollectorSpace, openCollectorSpace } from './collector-space.ts';

const keepMs = 7_200_000;

let space: CollectorSpace;

beforeEach(async () => {
  space = await openCollectorSpace();
});
afterEach(async () => {
  await space.close();
});

/** Records answers to kept calls; gives their ids and bodies. */
const record = async (count: number): Promise<Map<string, string>> => {
  const bodies = new Map(
    Array.from({ length: count }, (_, i) => [newLiveCallId(), JSON.stringify({ answer: `Grüße ${i}` })]),
  );
  for (const [id, body] of bodies) {
    const call = { id, tenant: 'acme', lane: 'simulator', fallbacksLeft: 0, keepMs, mostUnderWay: 1000 };
    await space.kept.begin(call);
    const head = { statusCode: 200, requestId: 'req_1', headers: {}, callMs: 1 };
    await space.kept.record(id, 'acme', { answer: { kind: 'response', head, body }, isStream: false, mayPass: false });
  }
  return bodies;
};

const placeOf = async (id: string) => (await space.kept.get(id))?.answer?.place;

const untilMoved = (ids: readonly string[]) =>
  expect
    .poll(() => Promise.all(ids.map(placeOf)), { timeout: 15_000 })
    .toSatisfy((places: unknown[]) => places.every((place) => place !== undefined));

const files = () => Array.fromAsync(space.files.list('answers/'));

test('many answers are moved into one file, which is due when all of them are', async () => {
  const bodies = await record(50);
  const errors: unknown[] = [];
  const collector = collectResults({
    stream: space.openStream('a'),
    files: space.files,
    moveAnswers: createMoveAnswers({ ...space, now: Date.now }),
    onReady: async () => {},
    onSegment: () => {},
    onBlocked: async () => {},
    onError: (error) => errors.push(error),
  });
  await untilMoved([...bodies.keys()]);
  await collector.close();
  expect(errors).toEqual([]);
  for (const [id, body] of bodies) {
    const place = await placeOf(id);
    expect(await text(await space.files.get(place?.key ?? '', place))).toBe(body);
    expect((await space.kept.get(id))?.answer?.answer).toMatchObject({ body: '' });
  }
  expect((await files()).length).toBeLessThan(5);
  expect(await space.redis.xlen(space.keys.results)).toBe(0);
  const [{ key } = { key: '' }] = await files();
  const hour = key.split('/')[1] ?? '';
  expect(key.startsWith(answersFolder(hour))).toBe(true);
  const endMs = Date.parse(`${hour}:00Z`) + 3_600_000;
  expect(await space.due.upTo(endMs + keepMs - 1, 10)).toEqual([]);
  expect(await space.due.upTo(endMs + keepMs, 10)).toContainEqual({ kind: 'answers', id: hour });
});

describe('answers', () => {
  let bodies: Map<string, string>;
  let entries: RecordedResults[];

  beforeEach(async () => {
    bodies = await record(3);
    const stream = space.openStream('a');
    await stream.ensureGroup();
    entries = await stream.read(100, 1000);
  });

  const move = (more: Partial<MoveAnswersOptions> = {}) =>
    createMoveAnswers({ ...space, now: Date.now, ...more })(entries);

  const inRedis = () =>
    Promise.all([...bodies.keys()].map(async (id) => (await space.kept.get(id))?.answer?.answer)) as Promise<
      { body?: string }[]
    >;

  test('stay in Redis while the store is full', async () => {
    const put = () => Promise.reject(new FileStoreError('no_space', 'the disk is full'));
    await expect(move({ files: { ...space.files, put } })).rejects.toMatchObject({ code: 'no_space' });
    expect((await inRedis()).map(({ body }) => body)).toEqual([...bodies.values()]);
    expect(await space.redis.xlen(space.keys.results)).toBe(3);
    await move();
    expect((await inRedis()).map(({ body }) => body)).toEqual(['', '', '']);
  });

  test('that a collector has written before it died are written again', async () => {
    const commit = () => Promise.reject(new Error('killed'));
    await expect(move({ answers: { ...space.answers, commit } })).rejects.toThrow('killed');
    await move();
    expect(await files()).toHaveLength(2);
    for (const [id, body] of bodies) {
      const place = await placeOf(id);
      expect(await text(await space.files.get(place?.key ?? '', place))).toBe(body);
    }
    expect(await space.redis.xlen(space.keys.results)).toBe(0);
  });

  test('that were deleted make no file', async () => {
    for (const id of bodies.keys()) await space.kept.remove(id);
    await move();
    expect(await files()).toEqual([]);
    expect(await space.due.upTo(8e15, 10)).toEqual([]);
    expect(await space.redis.xlen(space.keys.results)).toBe(0);
  });
});
