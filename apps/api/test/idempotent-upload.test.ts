import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, expect, inject, it } from 'vitest';
import { lines } from './support/input.ts';
import { keys, startTestApi, type TestApi } from './support/test-api.ts';

let api: TestApi;

beforeAll(async () => {
  api = await startTestApi({ redisUrl: inject('redisUrl') });
});
afterAll(() => api.close());

interface Upload {
  readonly key: string;
  readonly content?: string;
  readonly fields?: Readonly<Record<string, string>>;
  readonly apiKey?: string;
}

const upload = async ({ key, content = lines(3), fields = {}, apiKey = keys.alice }: Upload) => {
  const form = new FormData();
  for (const [name, value] of Object.entries({ purpose: 'batch', ...fields })) form.append(name, value);
  form.append('file', new Blob([content]), 'input.jsonl');
  const headers = { 'idempotency-key': key, authorization: `Bearer ${apiKey}` };
  const response = await api.request('/v1/files', { method: 'POST', headers, body: form });
  const body = (await response.json()) as { id: string; error?: { code: string } };
  return { status: response.status, body, id: body.id };
};

const storedFiles = async (): Promise<string[]> => (await api.stored()).filter((key) => key.startsWith('files/'));

it('makes one file of fifty uploads at once', async () => {
  const before = await storedFiles();
  const key = randomUUID();
  const answers = await Promise.all(Array.from({ length: 50 }, () => upload({ key })));
  expect(new Set(answers.map(({ status }) => status))).toEqual(new Set([200]));
  const [first] = answers;
  for (const { body } of answers) expect(body).toEqual(first?.body);
  expect((await upload({ key })).body).toEqual(first?.body);
  expect((await api.alice.files.list()).data.filter(({ id }) => id === first?.id)).toHaveLength(1);
  expect((await storedFiles()).filter((name) => !before.includes(name))).toEqual([`files/${first?.id}`]);
});

it('refuses another content or other fields under the same key, and keeps nothing of them', async () => {
  const key = randomUUID();
  expect((await upload({ key })).status).toBe(200);
  const before = await storedFiles();
  const expiry = { 'expires_after[anchor]': 'created_at', 'expires_after[seconds]': '3600' };
  for (const other of [{ content: lines(4) }, { fields: expiry }])
    expect(await upload({ key, ...other })).toMatchObject({
      status: 409,
      body: { error: { code: 'idempotency_key_reused' } },
    });
  expect(await storedFiles()).toEqual(before);
});

it("can be used again after an upload that was refused, and is each tenant's own", async () => {
  const key = randomUUID();
  expect((await upload({ key, fields: { colour: 'red' } })).status).toBe(400);
  const ours = await upload({ key });
  const theirs = await upload({ key, apiKey: keys.bob });
  expect([ours.status, theirs.status]).toEqual([200, 200]);
  expect(theirs.id).not.toBe(ours.id);
});

it('may be the key of a batch too', async () => {
  const key = randomUUID();
  const { id } = await upload({ key });
  const batch = await api.alice.batches.create(
    { input_file_id: id, endpoint: '/v1/chat/completions', completion_window: '24h' },
    { idempotencyKey: key, headers: { 'Idempotency-Key': key } },
  );
  expect(batch.input_file_id).toBe(id);
  expect((await upload({ key })).id).toBe(id);
});

it('makes the same file after an upload that died before it wrote the record', async () => {
  const key = randomUUID();
  const { id, body } = await upload({ key });
  await api.redis.del(api.keys.file('alice', id));
  await api.redis.zrem(api.keys.fileIndex('alice'), id);
  expect((await upload({ key })).body).toEqual(body);
  expect(await (await api.alice.files.content(id)).text()).toBe(lines(3));
  expect((await api.alice.files.list()).data.map((file) => file.id)).toContain(id);
});

it('can be used again after its file was deleted', async () => {
  const key = randomUUID();
  const { id } = await upload({ key });
  await api.alice.files.delete(id);
  const again = await Promise.all(Array.from({ length: 10 }, () => upload({ key })));
  const ids = new Set(again.map((answer) => answer.id));
  expect(ids.size).toBe(1);
  expect(ids).not.toContain(id);
  const [other = ''] = ids;
  expect(await (await api.alice.files.content(other)).text()).toBe(lines(3));
});
