import { encodeSegmentEntry, type Outcome, resultLine, segmentFolder, toResult } from '@promptmill/core';
import { createBatchStore } from '@promptmill/queue';
import { afterAll, beforeAll, describe, expect, inject, it } from 'vitest';
import { adminKey, keys, startTestApi, type TestApi } from './support/test-api.ts';

let api: TestApi;

beforeAll(async () => {
  api = await startTestApi({ redisUrl: inject('redisUrl'), env: { PROMPTMILL_ADMIN_KEY: adminKey } });
});
afterAll(() => api.close());

const json = async <T>(route: string, init: RequestInit = {}): Promise<T> => {
  const response = await api.request(route, init);
  expect([route, response.status]).toEqual([route, 200]);
  return (await response.json()) as T;
};

const createBatch = async (prompts: readonly unknown[], more: object = {}, key = keys.alice): Promise<string> => {
  const { id } = await json<{ id: string }>('/v1/batches', {
    method: 'POST',
    headers: { 'content-type': 'application/json', authorization: `Bearer ${key}` },
    body: JSON.stringify({ model: 'simulator/echo', prompts, ...more }),
  });
  await expect
    .poll(async () => (await api.clientOf(key).batches.retrieve(id)).status, { timeout: 15_000 })
    .toBe('in_progress');
  return id;
};

const answered = (content: string): Outcome => ({
  kind: 'response',
  statusCode: 200,
  requestId: 'req_1',
  json: JSON.stringify({ choices: [{ message: { content } }] }),
});
const refused = (code: string): Outcome => ({
  kind: 'response',
  statusCode: 400,
  requestId: 'req_1',
  json: JSON.stringify({ error: { message: `It is ${code}.`, code, type: 'invalid_request_error' } }),
});
const timedOut: Outcome = { kind: 'error', code: 'request_timeout', message: 'No answer in 30 s.' };

/** Commits results as a collector does: the outcome of each request by its index. */
const collect = async (id: string, name: string, outcomes: Readonly<Record<number, Outcome>>): Promise<void> => {
  const entries = Object.entries(outcomes).map(([index, outcome]) => {
    const request = { batchId: id, index: Number(index), customId: `c${index}` };
    return encodeSegmentEntry({ index: Number(index), bytes: 100, ...toResult(request, outcome) });
  });
  await api.files.put(`${segmentFolder(id)}${name}`, entries.join(''));
  await api.redis.rpush(api.keys.segments(id), name);
};

interface Results {
  readonly data: readonly { readonly custom_id: string }[];
  readonly next: string;
  readonly has_more: boolean;
}

const results = (id: string, query: string) => json<Results>(`/v1/batches/${id}/results?${query}`);
const ids = ({ data }: Results): string[] => data.map(({ custom_id: customId }) => customId);

/** Ends a batch with these lines in its files, as finalizing does. */
const end = async (id: string, output: string, errors: string): Promise<void> => {
  const store = createBatchStore(api.redis, api.keys);
  const { outputFileId, errorFileId } = (await store.get(id)) ?? { outputFileId: '', errorFileId: '' };
  await api.files.put(`files/${outputFileId}`, output);
  await api.files.put(`files/${errorFileId}`, errors);
  await store.transition(id, 'finalizing', Date.now());
  await store.transition(id, 'completed', Date.now(), { outputPublished: true, errorPublished: true });
};

describe('results that are chosen', () => {
  it('are those of one status, one failure, or with a word, in pages', async () => {
    const id = await createBatch(['a', 'b', 'c', 'd']);
    await collect(id, '0-2-a', { 0: answered('Grüße'), 1: refused('too_long'), 2: timedOut });
    await collect(id, '3-3-b', { 3: refused('blocked') });
    expect(ids(await results(id, 'status=completed'))).toEqual(['c0']);
    const first = await results(id, 'status=failed&limit=2');
    expect([ids(first), first.has_more]).toEqual([['c1', 'c2'], true]);
    const second = await results(id, `status=failed&limit=2&after=${first.next}`);
    expect([ids(second), second.has_more]).toEqual([['c3'], false]);
    expect(ids(await results(id, 'error_code=blocked'))).toEqual(['c3']);
    expect(ids(await results(id, 'error_code=400'))).toEqual(['c1', 'c3']);
    expect(ids(await results(id, 'search=GR%C3%9C'))).toEqual(['c0']);
    expect(ids(await results(id, 'search=nothing'))).toEqual([]);
  });

  it('are only those that come later, for who asks for the end', async () => {
    const id = await createBatch(['a', 'b']);
    await collect(id, '0-0-a', { 0: answered('early') });
    const { next, data } = await results(id, 'after=end');
    expect(data).toEqual([]);
    expect(ids(await results(id, `after=${next}`))).toEqual([]);
    await collect(id, '1-1-b', { 1: answered('late') });
    expect(ids(await results(id, `after=${next}`))).toEqual(['c1']);
  });

  it('come from the files once the batch has ended, in input order', async () => {
    const id = await createBatch(['a', 'b', 'c']);
    await collect(id, '2-2-a', { 2: answered('third') });
    await collect(id, '0-1-b', { 0: answered('first'), 1: timedOut });
    const line = (index: number, outcome: Outcome) =>
      `${resultLine({ batchId: id, index, customId: `c${index}` }, outcome)}\n`;
    await end(id, line(0, answered('first')) + line(2, answered('third')), line(1, timedOut));
    const first = await results(id, 'status=completed&limit=1');
    expect([ids(first), first.has_more]).toEqual([['c0'], true]);
    expect(ids(await results(id, `status=completed&after=${first.next}`))).toEqual(['c2']);
    expect(ids(await results(id, 'status=failed'))).toEqual(['c1']);
    const response = await api.request(`/v1/batches/${id}/results?status=completed&after=output.3`);
    expect(response.status).toBe(400);
    await response.arrayBuffer();
  });
});

describe('failures', () => {
  it('are counted by the code that says most, each with its first as example', async () => {
    const id = await createBatch(['a', 'b', 'c', 'd']);
    await collect(id, '0-3-a', { 0: refused('blocked'), 1: timedOut, 2: answered('good'), 3: timedOut });
    const counted = await json<Results>(`/v1/batches/${id}/failures`);
    expect(counted).toMatchObject({
      data: [
        { code: 'request_timeout', count: 2, example: { custom_id: 'c1', message: 'No answer in 30 s.' } },
        { code: 'blocked', count: 1, example: { custom_id: 'c0', message: 'It is blocked.' } },
      ],
      has_more: false,
    });
    await collect(id, '4-4-b', { 4: timedOut });
    expect(await json(`/v1/batches/${id}/failures?after=${counted.next}`)).toMatchObject({
      data: [{ code: 'request_timeout', count: 1 }],
    });
  });

  it('have what never ran, once the batch has ended', async () => {
    const id = await createBatch(['a', 'b']);
    const never: Outcome = { kind: 'error', code: 'batch_expired', message: 'It expired.' };
    await end(id, '', `${resultLine({ batchId: id, index: 1, customId: 'c1' }, never)}\n`);
    expect(await json(`/v1/batches/${id}/failures`)).toMatchObject({ data: [{ code: 'batch_expired', count: 1 }] });
  });
});

describe('input lines', () => {
  it('are found by their index', async () => {
    const id = await createBatch([{ custom_id: 'x', prompt: 'one' }, 'two', { custom_id: 'z', prompt: 'three' }]);
    const { data } = await json<{ data: unknown[] }>(`/v1/batches/${id}/requests?indexes=2,0,9,0`);
    const messages = (content: string) => ({ body: { messages: [{ role: 'user', content }] } });
    expect(data).toMatchObject([
      { index: 0, custom_id: 'x', url: '/v1/chat/completions', ...messages('one') },
      { index: 2, custom_id: 'z', ...messages('three') },
    ]);
    expect(data).toHaveLength(2);
  });

  it('come without a large body, unless only that one is asked for', async () => {
    const large = 'x'.repeat(70_000);
    const id = await createBatch(['small', large]);
    const read = async (indexes: string) =>
      (await json<{ data: { body?: unknown }[] }>(`/v1/batches/${id}/requests?indexes=${indexes}`)).data;
    expect((await read('0,1')).map(({ body }) => body !== undefined)).toEqual([true, false]);
    expect(JSON.stringify(await read('1'))).toContain(large);
  });

  it('are twenty at most, and named by numbers', async () => {
    const id = await createBatch(['a']);
    for (const indexes of ['', '-1', 'a', '1,', Array.from({ length: 21 }, (_, i) => i).join(',')]) {
      const response = await api.request(`/v1/batches/${id}/requests?indexes=${indexes}`);
      expect([indexes, response.status]).toEqual([indexes, 400]);
      await response.arrayBuffer();
    }
  });
});

describe('a list that is narrowed', () => {
  it('has batches of some statuses, or with a word in id, model or metadata', async () => {
    const running = await createBatch(['a'], { metadata: { name: 'Nightly Run' } }, keys.bob);
    const paused = await createBatch(['a'], {}, keys.bob);
    const cancelled = await createBatch(['a'], {}, keys.bob);
    await api.bob.batches.cancel(cancelled);
    const list = async (query: string, headers: Record<string, string> = {}, route = '/v1/batches') => {
      const init = { headers: { authorization: `Bearer ${keys.bob}`, ...headers } };
      return json<{ data: { id: string }[]; last_id: string; has_more: boolean }>(`${route}?${query}`, init);
    };
    const found = async (...parameters: Parameters<typeof list>) =>
      (await list(...parameters)).data.map(({ id }) => id);
    expect(await found('status=in_progress')).toEqual([paused, running]);
    expect(await found('status=cancelling,cancelled')).toEqual([cancelled]);
    expect(await found('search=nightly')).toEqual([running]);
    expect(await found(`search=${paused.slice(-12)}`)).toEqual([paused]);
    expect(await found('search=simulator%2FECHO&status=in_progress')).toEqual([paused, running]);
    // With a filter, the last that was looked at is where the next page begins.
    expect(await list('search=nightly&limit=1')).toMatchObject({ last_id: running, has_more: false });
    expect(await list('status=in_progress&limit=1')).toMatchObject({ data: [{ id: paused }], has_more: true });
    const admin = { authorization: `Bearer ${adminKey}` };
    expect(await found('tenant=bob&search=simulator', admin, '/v1/admin/batches')).toHaveLength(3);
    // An admin does not read what a tenant has written, and so does not search it.
    expect(await found('tenant=bob&search=nightly', admin, '/v1/admin/batches')).toEqual([]);
  });
});

it('says whose key it is', async () => {
  expect(await json('/v1/caller')).toEqual({ object: 'caller', tenant: 'alice', admin: false });
  expect(await json('/v1/caller', { headers: { authorization: `Bearer ${adminKey}` } })).toMatchObject({ admin: true });
});

it('shows how far a batch was over time, and how many of its requests are in a lane', async () => {
  const id = await createBatch(['a', 'b', 'c']);
  await expect.poll(() => json(`/v1/batches/${id}`)).toMatchObject({ promptmill: { in_lanes: 3 } });
  await expect
    .poll(() => json(`/v1/batches/${id}/progress`))
    .toMatchObject({ data: [{ at: expect.any(Number), completed: 0, failed: 0, retries: 0 }] });
});
