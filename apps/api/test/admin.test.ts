import { newApiKey } from '@promptmill/core';
import { createApiKeyStore } from '@promptmill/files';
import { createApiKeysVersion } from '@promptmill/queue';
import type OpenAI from 'openai';
import { afterAll, beforeAll, describe, expect, inject, it } from 'vitest';
import { inputFile, line, lines } from './support/input.ts';
import { adminKey, keys, startTestApi, type TestApi } from './support/test-api.ts';

type Line = Readonly<Record<string, unknown>>;

const hidden = 'words-of-the-owner';
const log: Line[] = [];
let api: TestApi;

beforeAll(async () => {
  api = await startTestApi({
    redisUrl: inject('redisUrl'),
    env: { PROMPTMILL_ADMIN_KEY: adminKey, LOG_LEVEL: 'error' },
    onLog: (text) => log.push(JSON.parse(text) as Line),
  });
});
afterAll(() => api.close());

const makeBatch = async (client: OpenAI, content = lines(3)) => {
  const file = await client.files.create({ file: await inputFile(content, `${hidden}.jsonl`), purpose: 'batch' });
  const { id } = await client.batches.create({
    input_file_id: file.id,
    endpoint: '/v1/chat/completions',
    completion_window: '24h',
    metadata: { hidden },
  });
  await expect.poll(async () => (await client.batches.retrieve(id)).status).toBe('in_progress');
  return { id, fileId: file.id };
};

const ask = async (route: string, { key = adminKey, method = 'GET' } = {}) => {
  const response = await fetch(api.url + route, {
    method,
    headers: { ...(key === '' ? {} : { authorization: `Bearer ${key}` }), 'x-request-id': `test:${route.length}` },
  });
  const text = await response.text();
  return { status: response.status, text, body: JSON.parse(text) as Record<string, never> };
};
const post = (route: string, key = adminKey) => ask(route, { key, method: 'POST' });

const audits = (match: Line): Line[] =>
  log.filter(
    (entry) => entry['audit'] === true && Object.entries(match).every(([name, value]) => entry[name] === value),
  );

describe('an admin key', () => {
  it('sees every tenant with what it uses', async () => {
    await makeBatch(api.alice);
    await makeBatch(api.bob, lines(5));
    const leave = new AbortController();
    const call = { model: 'simulator/echo', messages: [{ role: 'user' as const, content: 'Hi' }] };
    const left = api.alice.chat.completions.create(call, { signal: leave.signal }).catch(() => {});
    await expect.poll(async () => (await ask('/v1/admin/tenants')).text).toContain('"live_calls":1');
    const { status, body } = await ask('/v1/admin/tenants');
    expect([status, body]).toEqual([
      200,
      {
        object: 'list',
        data: [
          {
            id: 'admin',
            object: 'tenant',
            active_keys: 1,
            active_batches: 0,
            queued_requests: 0,
            live_calls: 0,
            files: 0,
          },
          {
            id: 'alice',
            object: 'tenant',
            active_keys: 1,
            active_batches: 1,
            queued_requests: 3,
            live_calls: 1,
            files: 1,
          },
          {
            id: 'bob',
            object: 'tenant',
            active_keys: 1,
            active_batches: 1,
            queued_requests: 5,
            live_calls: 0,
            files: 1,
          },
        ],
      },
    ]);
    leave.abort();
    await left;
  });

  it('lists any tenant’s batches, and nothing that the tenant has written', async () => {
    const { id } = await makeBatch(api.alice);
    const { body, text } = await ask('/v1/admin/batches?tenant=alice&limit=1');
    expect(body).toMatchObject({ data: [{ id, tenant: 'alice', request_counts: { total: 3 } }], has_more: true });
    expect(text).not.toContain(hidden);
    expect((await ask('/v1/admin/batches')).body).toMatchObject({ error: { param: 'tenant' } });
    expect((await ask('/v1/admin/batches?tenant=a%20b')).status).toBe(400);
  });

  it('cancels a batch of any tenant', async () => {
    const { id } = await makeBatch(api.bob);
    expect(await post(`/v1/admin/batches/${id}/cancel`)).toMatchObject({ status: 200, body: { id, tenant: 'bob' } });
    await expect.poll(async () => (await api.bob.batches.retrieve(id)).status).toMatch(/^cancell(?:ing|ed)$/);
    expect((await post(`/v1/admin/batches/batch_${'0'.repeat(32)}/cancel`)).status).toBe(404);
    expect((await post('/v1/admin/batches/nonsense/cancel')).status).toBe(404);
  });

  it('cancels all batches of a tenant, and of no other', async () => {
    const [one, two, others] = [await makeBatch(api.bob), await makeBatch(api.bob), await makeBatch(api.alice)];
    const { status, body } = await post('/v1/admin/tenants/bob/cancel');
    expect([status, body]).toEqual([200, { tenant: 'bob', cancelled: expect.arrayContaining([one.id, two.id]) }]);
    for (const { id } of [one, two]) expect((await api.bob.batches.retrieve(id)).status).toMatch(/^cancell/);
    expect((await api.alice.batches.retrieve(others.id)).status).toBe('in_progress');
    expect(await post('/v1/admin/tenants/nobody/cancel')).toMatchObject({
      status: 404,
      body: { error: { code: 'tenant_not_found' } },
    });
  });

  it('is a key of its own tenant on every other route', async () => {
    const { id, fileId } = await makeBatch(api.alice);
    for (const route of [`batches/${id}`, `batches/${id}/results`, `files/${fileId}`, `files/${fileId}/content`])
      expect((await ask(`/v1/${route}`)).status).toBe(404);
    expect((await ask('/v1/batches')).body).toMatchObject({ data: [] });
  });

  it('is what nobody else has', async () => {
    const { id } = await makeBatch(api.bob);
    for (const [method, route] of [
      ['GET', '/v1/admin/tenants'],
      ['GET', '/v1/admin/batches?tenant=alice'],
      ['POST', '/v1/admin/tenants/alice/cancel'],
      ['POST', `/v1/admin/batches/${id}/cancel`],
    ] as const) {
      expect(await ask(route, { method, key: keys.alice })).toMatchObject({
        status: 403,
        body: { error: { code: 'permission_denied' } },
      });
      expect((await ask(route, { method, key: '' })).status).toBe(401);
    }
    expect((await api.bob.batches.retrieve(id)).status).toBe('in_progress');
  });

  it('may be a stored one', async () => {
    const { key, record } = newApiKey({ tenant: 'ops', admin: true, createdAt: 1 });
    await createApiKeyStore(api.files).put(record);
    await createApiKeysVersion(api.redis, api.keys).change();
    await expect.poll(async () => (await ask('/v1/admin/tenants', { key })).status).toBe(200);
  });
});

describe('the audit', () => {
  const who = { tenant: 'alice', keyPrefix: 'env-1', address: expect.stringContaining('127.0.0.1') };

  it('has a line for whatever is made, changed or deleted, with who did it and from where', async () => {
    const { id, fileId } = await makeBatch(api.alice);
    for (const step of ['pause', 'resume', 'cancel']) await post(`/v1/batches/${id}/${step}`, keys.alice);
    await ask(`/v1/files/${fileId}`, { method: 'DELETE', key: keys.alice });
    const upload = { bytes: 0, filename: 'a.jsonl', mime_type: 'application/jsonl', purpose: 'batch' } as const;
    const cancelled = await api.alice.uploads.create(upload);
    await api.alice.uploads.cancel(cancelled.id);
    const { id: uploadId } = await api.alice.uploads.create(upload);
    const { file } = await api.alice.uploads.complete(uploadId, { part_ids: [] });
    const lineOf = async (action: string, subject: string) => {
      const find = () => audits({ action }).find(({ ids }) => (ids as string[]).includes(subject));
      await expect.poll(find).toBeDefined();
      return find();
    };
    for (const action of ['batch.create', 'batch.pause', 'batch.resume', 'batch.cancel'])
      expect(await lineOf(action, id)).toMatchObject({ ...who, outcome: 'done', requestId: expect.any(String) });
    const response = await api.alice.responses.create({ model: 'simulator/echo', input: 'Hi', background: true });
    await api.alice.responses.cancel(response.id);
    await api.alice.responses.delete(response.id);
    for (const action of ['response.create', 'response.cancel', 'response.delete'])
      expect(await lineOf(action, response.id)).toMatchObject({ ...who, outcome: 'done', ids: [response.id] });
    expect(await lineOf('file.create', fileId)).toMatchObject({ ...who, outcome: 'done', ids: [fileId] });
    expect(await lineOf('file.delete', fileId)).toMatchObject({ ...who, ids: [fileId] });
    for (const action of ['upload.create', 'upload.cancel'])
      expect(await lineOf(action, cancelled.id)).toMatchObject({ outcome: 'done', tenant: 'alice' });
    expect(await lineOf('upload.complete', uploadId)).toMatchObject({ outcome: 'done', ids: [uploadId, file?.id] });
    expect(await lineOf('batch.pause', id)).toMatchObject({ requestId: `test:${`/v1/batches/${id}/pause`.length}` });
  });

  it('has a line for each refusal, and for what an admin does to others', async () => {
    await ask('/v1/files', { key: 'sk-guessed-key' });
    await post('/v1/admin/tenants/bob/cancel', keys.alice);
    await post('/v1/admin/tenants/bob/cancel');
    await expect.poll(() => audits({ action: 'tenant.cancel', outcome: 'done' }).length).toBeGreaterThan(0);
    expect(audits({ status: 401, action: 'access', route: '/v1/files' })[0]).toMatchObject({
      outcome: 'refused',
      code: 'invalid_api_key',
      address: who.address,
    });
    expect(audits({ status: 403, action: 'tenant.cancel' }).at(-1)).toMatchObject({ tenant: 'alice', ofTenant: 'bob' });
    expect(audits({ status: 200, action: 'tenant.cancel' })[0]).toMatchObject({ tenant: 'admin', ofTenant: 'bob' });
  });

  it('has a line for a key that is created or revoked', async () => {
    const store = createApiKeyStore(api.files);
    const version = createApiKeysVersion(api.redis, api.keys);
    const { record } = newApiKey({ tenant: 'eve', admin: false, createdAt: 1 });
    await store.put(record);
    await version.change();
    await expect.poll(() => audits({ action: 'key.create', keyPrefix: record.prefix })).toHaveLength(1);
    await store.revoke(record.prefix, 2);
    await version.change();
    await expect
      .poll(() => audits({ action: 'key.revoke', keyPrefix: record.prefix }))
      .toMatchObject([{ tenant: 'eve', admin: false }]);
  });

  it('tells nothing of what is in files, batches and keys', async () => {
    await makeBatch(api.alice, line(0, { custom_id: `${hidden}-0` }));
    await ask(`/v1/batches/${hidden}/cancel?${hidden}`, { method: 'POST', key: keys.alice });
    await expect.poll(() => audits({ action: 'batch.cancel', status: 404 }).length).toBeGreaterThan(0);
    const text = JSON.stringify(log);
    for (const secret of [hidden, 'sk-guessed-key', keys.alice, adminKey]) expect(text).not.toContain(secret);
  });
});
