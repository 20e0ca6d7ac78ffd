import { encodeSegmentEntry, type Outcome, resultLine, segmentFolder } from '@promptmill/core';
import { createBatchStore, createDeltaPublisher, mastersOf } from '@promptmill/queue';
import { afterAll, beforeAll, describe, expect, inject, it } from 'vitest';
import { startTestApi, type TestApi } from './support/test-api.ts';

let api: TestApi;

beforeAll(async () => {
  api = await startTestApi({ redisUrl: inject('redisUrl') });
});
afterAll(() => api.close());

const createBatch = async (): Promise<string> => {
  const response = await api.request('/v1/batches', {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ model: 'simulator/echo', prompts: ['one', 'two'] }),
  });
  const { id } = (await response.json()) as { id: string };
  await expect.poll(() => api.alice.batches.retrieve(id)).toMatchObject({ status: 'in_progress' });
  return id;
};

describe('results while a batch runs', () => {
  interface Page {
    readonly data: { readonly custom_id: string }[];
    readonly next: string;
    readonly has_more: boolean;
  }
  const outcome: Outcome = {
    kind: 'response',
    statusCode: 200,
    requestId: 'req_1',
    json: JSON.stringify({ text: 'tab\tand\nline' }),
  };

  /** Commits results as a collector does. */
  const collect = async (id: string, name: string, indexes: readonly number[]): Promise<void> => {
    const entries = indexes.map((index) =>
      encodeSegmentEntry({
        index,
        status: 'completed',
        bytes: 100,
        line: resultLine({ batchId: id, index, customId: `c${index}` }, outcome),
      }),
    );
    await api.files.put(`${segmentFolder(id)}${name}`, entries.join(''));
    await api.redis.rpush(api.keys.segments(id), name);
  };
  const read = async (id: string, query = ''): Promise<Page> => {
    const response = await api.request(`/v1/batches/${id}/results${query}`);
    expect(response.status).toBe(200);
    return (await response.json()) as Page;
  };
  const ids = ({ data }: Page): string[] => data.map(({ custom_id }) => custom_id);

  it('come in the order they were collected, page by page, and go on later', async () => {
    const id = await createBatch();
    expect(await read(id)).toEqual({ object: 'list', data: [], next: '0.0', has_more: false });

    await collect(id, '2-4-a', [2, 3, 4]);
    await collect(id, '0-0-b', [0]);
    const first = await read(id, '?limit=2');
    expect(ids(first)).toEqual(['c2', 'c3']);
    expect(first.data[0]).toMatchObject({
      response: { status_code: 200, body: { text: 'tab\tand\nline' } },
      error: null,
    });
    expect(first.has_more).toBe(true);
    const second = await read(id, `?limit=1&after=${first.next}`);
    expect(ids(second)).toEqual(['c4']);
    expect(second.has_more).toBe(true);
    const third = await read(id, `?limit=1&after=${second.next}`);
    expect(ids(third)).toEqual(['c0']);
    expect(third.has_more).toBe(false);
    expect(await read(id, `?after=${third.next}`)).toMatchObject({ data: [], next: third.next, has_more: false });

    await collect(id, '1-1-c', [1]);
    expect(ids(await read(id, `?after=${third.next}`))).toEqual(['c1']);
    expect(ids(await read(id))).toEqual(['c2', 'c3', 'c4', 'c0', 'c1']);
  });

  it('refuse a place at which no result starts', async () => {
    const id = await createBatch();
    await collect(id, '0-1-a', [0, 1]);
    for (const after of ['0.7', 'x', '0.-1']) {
      const response = await api.request(`/v1/batches/${id}/results?after=${after}`);
      expect(response.status).toBe(400);
      expect(await response.json()).toMatchObject({ error: { param: 'after' } });
    }
  });

  it('are for their tenant only', async () => {
    const id = await createBatch();
    for (const what of ['results', 'events']) {
      const response = await api.request(`/v1/batches/${id}/${what}`, {
        headers: { authorization: `Bearer ${api.bob.apiKey}` },
      });
      expect(response.status).toBe(404);
    }
  });
});

describe('events', () => {
  interface Event {
    readonly event: string;
    readonly data: { readonly status: string; readonly request_counts: { readonly completed: number } };
  }

  async function* eventsOf(response: Response): AsyncGenerator<Event> {
    let text = '';
    for await (const chunk of response.body?.pipeThrough(new TextDecoderStream()) ?? []) {
      text += chunk;
      const parts = text.split('\n\n');
      text = parts.pop() ?? '';
      for (const part of parts) {
        const [, event, data] = /^event: (.*)\ndata: (.*)$/.exec(part) ?? [];
        if (event && data) yield { event, data: JSON.parse(data) as Event['data'] };
      }
    }
  }

  it('tell of progress and of the end, and then end', async () => {
    const id = await createBatch();
    const response = await api.request(`/v1/batches/${id}/events`);
    expect(response.headers.get('content-type')).toContain('text/event-stream');
    const events = eventsOf(response);
    expect((await events.next()).value).toMatchObject({ event: 'progress', data: { status: 'in_progress' } });

    await api.redis.hincrby(api.keys.batch(id), 'completed', 1);
    expect((await events.next()).value).toMatchObject({
      event: 'progress',
      data: { request_counts: { total: 2, completed: 1 } },
    });

    const batches = createBatchStore(api.redis, api.keys);
    await batches.transition(id, 'finalizing', Date.now());
    await batches.transition(id, 'completed', Date.now());
    const rest = await Array.fromAsync(events);
    expect(rest.at(-1)).toMatchObject({ event: 'done', data: { status: 'completed' } });
  });

  it('bring deltas to those who ask for them, of one request if they like', async () => {
    const id = await createBatch();
    const open = async (query: string) => eventsOf(await api.request(`/v1/batches/${id}/events${query}`));
    const [all, one, none] = await Promise.all(['?deltas=true', '?deltas=true&custom_id=b', ''].map(open));
    for (const events of [all, one, none]) expect((await events?.next())?.value).toMatchObject({ event: 'progress' });
    const channel = api.keys.deltas(id);
    const listeners = async () => {
      const counts = await Promise.all(mastersOf(api.redis).map((node) => node.pubsub('SHARDNUMSUB', channel)));
      return counts.reduce((sum, [, count]) => sum + Number(count), 0);
    };
    await expect.poll(listeners).toBe(1);

    const publisher = createDeltaPublisher(api.redis, api.keys);
    for (const customId of ['a', 'b']) {
      const call = publisher.open({ batchId: id, customId });
      call.add({ index: 0, text: `Of ${customId}` });
      call.end(true);
    }
    const delta = (customId: string) => [
      { event: 'delta', data: { custom_id: customId, index: 0, offset: 0, delta: `Of ${customId}` } },
      { event: 'delta', data: { custom_id: customId, index: 0, offset: 4, delta: '', done: true } },
    ];
    const next = async (events = all, count = 2) => {
      const found: unknown[] = [];
      while (found.length < count) found.push((await events?.next())?.value);
      return found;
    };
    expect(await next(all, 4)).toEqual([...delta('a'), ...delta('b')]);
    expect(await next(one)).toEqual(delta('b'));

    await api.redis.hincrby(api.keys.batch(id), 'completed', 1);
    expect(await next(none, 1)).toMatchObject([{ event: 'progress' }]);
    for (const events of [all, one, none]) await events?.return(undefined);
    await expect.poll(listeners).toBe(0);
  });

  it('refuse a value that is neither true nor false', async () => {
    const id = await createBatch();
    const response = await api.request(`/v1/batches/${id}/events?deltas=1`);
    expect(response.status).toBe(400);
    expect(await response.json()).toMatchObject({ error: { param: 'deltas' } });
  });

  it('end when the api stops', async () => {
    const other = await startTestApi({ redisUrl: inject('redisUrl') });
    const created = await other.request('/v1/batches', {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ model: 'simulator/echo', prompts: ['one'] }),
    });
    const { id } = (await created.json()) as { id: string };
    const events = eventsOf(await other.request(`/v1/batches/${id}/events`));
    await events.next();
    const closed = other.close();
    expect((await Array.fromAsync(events)).every(({ event }) => event === 'progress')).toBe(true);
    await closed;
  });
});
