import { newLiveCallId, type LiveAnswer } from '@promptmill/core';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { createKeptAnswers, createKeptCalls, createResultsStream, type NewKeptCall } from '../src/index.ts';
import { openRedisSpace, type RedisSpace } from './redis-space.ts';

let space: RedisSpace;
let calls: ReturnType<typeof createKeptCalls>;
let call: NewKeptCall;

beforeAll(() => {
  space = openRedisSpace();
  calls = createKeptCalls(space.redis, space.keys);
});
afterAll(() => space.close());

let tenants = 0;
beforeEach(() => {
  call = {
    id: newLiveCallId(),
    tenant: `tenant-${tenants++}`,
    lane: 'simulator',
    fallbacksLeft: 1,
    api: 'api-1',
    keepMs: 60_000,
    mostUnderWay: 2,
  };
});

const answerOf = (body: string, statusCode = 200): LiveAnswer => ({
  kind: 'response',
  head: { statusCode, requestId: 'req_1', headers: {}, callMs: 5 },
  body,
});
const kept = (body: string, more: { isStream?: boolean; mayPass?: boolean } = {}) => ({
  answer: answerOf(body),
  isStream: false,
  mayPass: false,
  ...more,
});

const begin = async (more: Partial<NewKeptCall> = {}) => (await calls.begin({ ...call, ...more })).kind;
const record = (body: string, more = {}) => calls.record(call.id, call.tenant, kept(body, more));

describe('a kept call', () => {
  it('begins once, and each api that asked for it is told of its answer', async () => {
    const kinds = await Promise.all(['api-1', 'api-2', 'api-2', 'api-3'].map((api) => begin({ api })));
    expect(kinds.toSorted()).toEqual(['joined', 'joined', 'joined', 'new']);
    expect(await calls.check(call.id, 1)).toBe('run');
    expect(await record('{"a":1}')).toEqual(expect.arrayContaining(['api-1', 'api-2', 'api-3']));
    expect(await begin()).toBe('ended');
  });

  it('keeps its first answer', async () => {
    await begin();
    expect(await record('{"a":1}')).toEqual(['api-1']);
    expect(await record('{"a":2}')).toBeUndefined();
    expect(await calls.check(call.id, 1)).toBe('settled');
    expect((await calls.get(call.id))?.answer).toEqual({ answer: answerOf('{"a":1}'), isStream: false });
  });

  it('that failed for a reason that may pass can be made again', async () => {
    await begin();
    await record('{}', { mayPass: true });
    expect(await begin()).toBe('passed');
  });

  it('that has gone to a fallback is not called in the lane it came from', async () => {
    await begin();
    expect(await calls.check(call.id, 1)).toBe('run');
    expect(await calls.check(call.id, 0)).toBe('run');
    expect(await calls.check(call.id, 1)).toBe('moved');
    expect(await begin()).toBe('moved');
    expect(await record('{}')).toEqual(['api-1']);
  });

  it('that is cancelled is neither called nor answered', async () => {
    await begin();
    expect(await calls.cancel(call.id, call.tenant)).toBe(true);
    expect(await calls.cancel(call.id, call.tenant)).toBe(false);
    expect(await calls.check(call.id, 1)).toBe('dropped');
    expect(await record('{}')).toBeUndefined();
    expect((await calls.get(call.id))?.status).toBe('cancelled');
  });

  it('that is not known, or is known no more, is neither called nor answered', async () => {
    expect(await calls.check(call.id, 1)).toBe('dropped');
    expect(await record('{}')).toBeUndefined();
    expect(await space.redis.exists(space.keys.keptCall(call.id))).toBe(0);
    await begin({ keepMs: 1 });
    await expect.poll(() => calls.get(call.id)).toBeUndefined();
    expect(await begin()).toBe('new');
  });

  it('is kept for its time from its answer on', async () => {
    await begin();
    await space.redis.pexpire(space.keys.keptCall(call.id), 1000);
    await record('{}');
    expect(await space.redis.pttl(space.keys.keptCall(call.id))).toBeGreaterThan(50_000);
  });
});

it('a tenant has so many kept calls under way, and those that have ended do not count', async () => {
  const [first, second, third] = [newLiveCallId(), newLiveCallId(), newLiveCallId()];
  expect([await begin({ id: first }), await begin({ id: second }), await begin({ id: third })]).toEqual([
    'new',
    'new',
    'full',
  ]);
  expect(await calls.get(third)).toBeUndefined();
  expect(await begin({ id: second })).toBe('joined');
  expect(await calls.notUnderWay(call.tenant, [first, second, third])).toEqual([third]);
  await calls.record(first, call.tenant, kept('{}'));
  expect(await begin({ id: third })).toBe('new');
  await calls.cancel(second, call.tenant);
  expect(await calls.notUnderWay(call.tenant, [first, second, third])).toEqual([first, second]);
});

it('an answer leaves Redis when it is in the file store, and one that was deleted meanwhile does not come back', async () => {
  const answers = createKeptAnswers(space.redis, space.keys);
  const stream = createResultsStream({ ...space, blocking: space.connect(), consumer: 'c' });
  await stream.ensureGroup();
  await stream.read(100, 1);
  const ids = [newLiveCallId(), newLiveCallId()] as const;
  for (const id of ids) {
    await begin({ id });
    await calls.record(id, call.tenant, kept('{"text":"Grüße"}'));
  }
  const entries = await stream.read(100, 1000);
  expect(entries.map((entry) => String(entry.entries).trim())).toEqual(ids);
  expect(String((await answers.read(ids[0]))?.text)).toBe('{"text":"Grüße"}');
  await calls.remove(ids[1]);
  const place = { key: 'answers/2026-11-28T23/x', start: 5, end: 23 };
  await answers.commit(new Map(ids.map((id) => [id, place])), entries);
  expect(await answers.read(ids[0])).toBeUndefined();
  expect((await calls.get(ids[0]))?.answer).toEqual({ answer: answerOf(''), isStream: false, place });
  expect(await calls.get(ids[1])).toBeUndefined();
  for (const { streamId } of entries)
    expect(await space.redis.xrange(space.keys.results, streamId, streamId)).toEqual([]);
});
