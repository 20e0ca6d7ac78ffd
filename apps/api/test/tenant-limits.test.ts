import { createBatchStore, createFileRecords, createTenantCalls } from '@promptmill/queue';
import type OpenAI from 'openai';
import { APIError } from 'openai';
import { afterAll, beforeAll, describe, expect, inject, it } from 'vitest';
import { inputFile, line, lines } from './support/input.ts';
import { startTestApi, type TestApi } from './support/test-api.ts';

const windowBytes = 20_000;
const env = { PROMPTMILL_WINDOW_BYTES: String(windowBytes), PROMPTMILL_API_KEYS: '' };
const names = ['batches', 'requests', 'bytes', 'streams', 'uploads', 'models', 'lines', 'calls', 'many', 'other'];
const limits = {
  batches: { activeBatches: 5 },
  requests: { queuedRequests: 100 },
  bytes: { storedBytes: 10_000 },
  streams: { eventStreamsAtOnce: 2 },
  uploads: { uploadsAtOnce: 1 },
  models: { models: ['simulator/ec*'] },
  calls: { concurrency: 2 },
};
const configFile = JSON.stringify({ tenants: limits });

let apis: readonly [TestApi, TestApi];

beforeAll(async () => {
  env.PROMPTMILL_API_KEYS = names.map((name) => `${name}:${name}-key-0001`).join(',');
  const first = await startTestApi({ redisUrl: inject('redisUrl'), env, configFile });
  apis = [first, await startTestApi({ redisUrl: inject('redisUrl'), env: { ...env, ...first.shared }, configFile })];
});
afterAll(async () => {
  await apis[1].close();
  await apis[0].close();
});

const clientOf = (tenant: string, api: 0 | 1 = 0): OpenAI => apis[api].clientOf(`${tenant}-key-0001`);
const upload = async (tenant: string, content: string) =>
  clientOf(tenant).files.create({ file: await inputFile(content), purpose: 'batch' });
const create = (tenant: string, fileId: string, api: 0 | 1 = 0) =>
  clientOf(tenant, api).batches.create({
    input_file_id: fileId,
    endpoint: '/v1/chat/completions',
    completion_window: '24h',
  });
const request = (tenant: string, route: string, init: RequestInit = {}): Promise<Response> =>
  apis[0].request(route, { ...init, headers: { authorization: `Bearer ${tenant}-key-0001` } });
const used = (tenant: string) => createFileRecords(apis[0].redis, apis[0].keys).used(tenant);

const errorsOf = (outcomes: readonly PromiseSettledResult<unknown>[]): APIError[] =>
  outcomes
    .filter((outcome) => outcome.status === 'rejected')
    .map(({ reason }) => {
      if (reason instanceof APIError) return reason;
      throw reason;
    });

describe('active batches', () => {
  it('are never more than the limit at fifty creations on two apis; a batch that ends makes room', async () => {
    const { id } = await upload('batches', lines(2));
    const createAny = (i: number) => create('batches', id, i % 2 === 0 ? 0 : 1);
    const outcomes = await Promise.allSettled(Array.from({ length: 50 }, (_, i) => createAny(i)));
    const made = outcomes.flatMap((outcome) => (outcome.status === 'fulfilled' ? [outcome.value] : []));
    expect(made).toHaveLength(5);
    const [error] = errorsOf(outcomes);
    expect(error).toMatchObject({ status: 429, code: 'too_many_active_batches', type: 'rate_limit_error' });
    expect(error?.message).toContain('You have 5 batches that have not ended; 5 are allowed (activeBatches).');
    expect((await create('other', (await upload('other', lines(1))).id)).status).toBe('validating');

    // As a collector ends them.
    const batches = createBatchStore(apis[0].redis, apis[0].keys);
    for (const batch of made.slice(0, 2)) {
      await clientOf('batches').batches.cancel(batch.id);
      await batches.transition(batch.id, 'cancelled', Date.now());
    }
    await expect.poll(async () => (await used('batches')).activeBatches).toBe(3);
    const again = await Promise.allSettled(Array.from({ length: 10 }, (_, i) => createAny(i)));
    expect(again.filter(({ status }) => status === 'fulfilled')).toHaveLength(2);

    // A limit that is changed while the api runs.
    apis[1].setTenants({ ...limits, batches: { activeBatches: 6 } });
    await create('batches', id, 1);
    await expect(create('batches', id, 1)).rejects.toMatchObject({ status: 429 });
  });

  it('count once when a creation is repeated under its key', async () => {
    const { id } = await upload('other', lines(1));
    const before = (await used('other')).activeBatches;
    const body = { input_file_id: id, endpoint: '/v1/chat/completions', completion_window: '24h' } as const;
    const headers = { 'Idempotency-Key': 'once' };
    await Promise.all([0, 1, 0, 1].map((api) => clientOf('other', api as 0 | 1).batches.create(body, { headers })));
    expect((await used('other')).activeBatches).toBe(before + 1);
  });
});

describe('new batches while another tenant uses the api', () => {
  it('wait for their turn, and one whose caller hangs up meanwhile is not made', async () => {
    const { id } = await upload('many', lines(1));
    await clientOf('other').batches.list();
    const hangUp = new AbortController();
    const body = { input_file_id: id, endpoint: '/v1/chat/completions', completion_window: '24h' } as const;
    const made = Promise.all(Array.from({ length: 40 }, () => create('many', id)));
    const last = clientOf('many').batches.create(body, { signal: hangUp.signal });
    await expect.poll(async () => (await used('many')).activeBatches).toBeGreaterThanOrEqual(10);
    hangUp.abort();
    await expect(last).rejects.toThrow('aborted');
    await made;
    // The one that hung up was due before this one.
    await create('many', id);
    expect((await used('many')).activeBatches).toBe(41);
  });
});

describe('queued requests', () => {
  it('are never more than the limit, and a refused creation leaves no file of its own', async () => {
    const { id } = await upload('requests', lines(30));
    const outcomes = await Promise.allSettled(Array.from({ length: 10 }, () => create('requests', id)));
    expect(errorsOf(outcomes)).toHaveLength(7);
    const prompts = Array.from({ length: 11 }, (_, i) => `Say ${i}`);
    const answer = await fetch(`${apis[0].url}/v1/batches`, {
      method: 'POST',
      headers: { 'content-type': 'application/json', authorization: 'Bearer requests-key-0001' },
      body: JSON.stringify({ model: 'simulator/echo', prompts }),
    });
    expect(answer.status).toBe(429);
    expect(await answer.json()).toMatchObject({
      error: {
        code: 'too_many_queued_requests',
        message:
          'You have 90 requests in batches that have not ended, and this request would add 11; 100 are allowed ' +
          '(queuedRequests). They count until their batch ends.',
      },
    });
    expect((await clientOf('requests').files.list()).data).toHaveLength(1);
  });
});

describe('stored bytes', () => {
  it('are never more than the limit, and a deleted file makes room', async () => {
    const content = lines(20);
    const outcomes = await Promise.allSettled(Array.from({ length: 10 }, () => upload('bytes', content)));
    const [error] = errorsOf(outcomes);
    expect(error).toMatchObject({ status: 507, code: 'too_many_stored_bytes' });
    const { storedBytes } = await used('bytes');
    expect(storedBytes).toBeGreaterThan(0);
    expect(storedBytes).toBeLessThanOrEqual(10_000);
    for (const file of (await clientOf('bytes').files.list()).data) await clientOf('bytes').files.delete(file.id);
    expect((await used('bytes')).storedBytes).toBe(0);
    await upload('bytes', content);
  });

  it('are reserved as an upload of unknown length grows', async () => {
    const form = (async function* () {
      yield Buffer.from(
        '--x\r\ncontent-disposition: form-data; name="purpose"\r\n\r\nbatch\r\n' +
          '--x\r\ncontent-disposition: form-data; name="file"; filename="a.jsonl"\r\n\r\n',
      );
      for (let i = 0; i < 200; i++) yield Buffer.from(line(i));
      yield Buffer.from('\r\n--x--\r\n');
    })();
    const before = await used('bytes');
    const answer = await fetch(`${apis[0].url}/v1/files`, {
      method: 'POST',
      headers: { 'content-type': 'multipart/form-data; boundary=x', authorization: 'Bearer bytes-key-0001' },
      body: ReadableStream.from(form),
      duplex: 'half',
    });
    expect(answer.status).toBe(507);
    expect(await used('bytes')).toEqual(before);
    expect(await apis[0].redis.exists(apis[0].keys.reservedBytes('bytes'))).toBe(0);
  });
});

describe('what is open at once', () => {
  it('event streams: those of both apis count, and one that is closed makes room', async () => {
    const { id } = await create('streams', (await upload('streams', lines(1))).id);
    const open = async () => {
      const abort = new AbortController();
      const response = await request('streams', `/v1/batches/${id}/events`, { signal: abort.signal });
      return { response, abort };
    };
    const one = await open();
    const two = await open();
    expect([one.response.status, two.response.status]).toEqual([200, 200]);
    const { response } = await open();
    expect(response.status).toBe(429);
    expect(await response.json()).toMatchObject({ error: { code: 'too_many_event_streams' } });
    one.abort.abort();
    await expect.poll(async () => (await open()).response.status).toBe(200);
    two.abort.abort();
  });

  it('uploads: one that breaks off makes room', async () => {
    const abort = new AbortController();
    const started = Promise.withResolvers<void>();
    const body = (async function* () {
      yield Buffer.from('--x\r\ncontent-disposition: form-data; name="file"; filename="a.jsonl"\r\n\r\n{}\n');
      started.resolve();
      await new Promise(() => {});
    })();
    const slow = fetch(`${apis[1].url}/v1/files`, {
      method: 'POST',
      headers: { 'content-type': 'multipart/form-data; boundary=x', authorization: 'Bearer uploads-key-0001' },
      body: ReadableStream.from(body),
      duplex: 'half',
      signal: abort.signal,
    });
    await started.promise;
    const uploads = apis[0].keys.places('uploads', 'uploads');
    await expect.poll(() => apis[0].redis.zcard(uploads)).toBe(1);
    await expect(upload('uploads', lines(1))).rejects.toMatchObject({ status: 429, code: 'too_many_uploads' });
    abort.abort();
    await expect(slow).rejects.toThrow(/abort/i);
    await expect.poll(() => apis[0].redis.zcard(uploads)).toBe(0);
    await upload('uploads', lines(1));
  });
});

describe('models', () => {
  it('that a tenant may not use are not there', async () => {
    const client = clientOf('models');
    expect((await client.models.list()).data.map(({ id }) => id)).toEqual(['simulator/echo']);
    expect((await client.models.retrieve('simulator/echo')).id).toBe('simulator/echo');
    await expect(client.models.retrieve('simulator/other')).rejects.toMatchObject({ code: 'model_not_found' });
    apis[0].setTenants({ ...limits, models: { models: ['xai'] } });
    expect((await client.models.list()).data).toEqual([]);
    apis[0].setTenants(limits);
  });

  it('that a tenant may not use fail its batch, with the line', async () => {
    const content = line(0) + line(1, { body: { model: 'simulator/slow', messages: [] } });
    const { id } = await create('models', (await upload('models', content)).id);
    await expect
      .poll(() => clientOf('models').batches.retrieve(id))
      .toMatchObject({
        status: 'failed',
        errors: { data: [{ code: 'model_not_allowed', line: 2, param: 'body.model' }] },
      });
    await expect.poll(async () => (await used('models')).activeBatches).toBe(0);
  });
});

it('a batch says when a limit of its tenant keeps its calls waiting', async () => {
  const { id } = await create('calls', (await upload('calls', lines(3))).id);
  // As a worker that is refused a call.
  const calls = createTenantCalls(apis[0].redis, apis[0].keys, () => limits.calls);
  const ask = (i: number) => calls.admit('calls', { id: `call-${i}`, estimatedTokens: 0 });
  await Promise.all([0, 1, 2].map(ask));
  await expect
    .poll(() => clientOf('calls').batches.retrieve(id))
    .toMatchObject({
      promptmill: {
        waiting_for: [{ lane: 'tenant_limit', reason: 'You have reached your limit concurrency: 2.' }],
      },
    });
});

describe('bytes in the lanes', () => {
  it('of one tenant stay within four windows, and leave room for another', async () => {
    const pad = { body: { model: 'simulator/echo', messages: [{ role: 'user', content: 'x'.repeat(2000) }] } };
    const content = Array.from({ length: 30 }, (_, i) => line(i, pad)).join('');
    const { id } = await upload('lines', content);
    for (let i = 0; i < 12; i++) await create('lines', id);
    const outstanding = () => apis[0].redis.hvals(apis[0].keys.bytesOfBatches('lines'));
    await expect.poll(async () => (await outstanding()).length).toBe(12);
    const sum = (await outstanding()).reduce((total, bytes) => total + Number(bytes), 0);
    // Each batch may go on up to half of its even share, and one line beyond.
    expect(sum).toBeLessThan(windowBytes * 4 * 1.5 + 12 * 2200);
    expect(sum).toBeGreaterThan(windowBytes * 3);
    const other = await create('other', (await upload('other', content)).id);
    await expect
      .poll(async () => Number(await apis[0].redis.hget(apis[0].keys.batch(other.id), 'dispatched')))
      .toBeGreaterThan(5);
  });
});
