import { createHash } from 'node:crypto';
import { setTimeout as delay } from 'node:timers/promises';
import { fileKey, newFileId, newPartId, partKey, uploadFolder } from '@promptmill/core';
import { createFileRecords, createUploadRecords } from '@promptmill/queue';
import express from 'express';
import OpenAI, { toFile } from 'openai';
import { afterAll, beforeAll, describe, expect, inject, it } from 'vitest';
import { deleteKeys } from '../../../tests/support/redis-keys.ts';
import { startMemoryMeter } from '../../../tests/support/live-memory.ts';
import type { Call } from '../src/call.ts';
import { startHttpServer } from '../src/http-server.ts';
import { createLargeBodies } from '../src/large-bodies.ts';
import { mountRoute } from '../src/route.ts';
import { partObject, uploadObject } from '../src/uploads/upload-schemas.ts';
import { line, lines } from './support/input.ts';
import { startTestApi, type TestApi } from './support/test-api.ts';

const limitedBytes = 20_000;
const env = { PROMPTMILL_API_KEYS: 'alice:alice-key-0001,bob:bob-key-00001,limited:limited-key-1' };
const configFile = JSON.stringify({ tenants: { limited: { storedBytes: limitedBytes, uploadsAtOnce: 1 } } });

let api: TestApi;
/** Another api on the same files and Redis. */
let second: TestApi;
let uploads: ReturnType<typeof createUploadRecords>;
let records: ReturnType<typeof createFileRecords>;

beforeAll(async () => {
  api = await startTestApi({ redisUrl: inject('redisUrl'), env, configFile });
  second = await startTestApi({ redisUrl: inject('redisUrl'), env: { ...env, ...api.shared }, configFile });
  uploads = createUploadRecords(api.redis, api.keys);
  records = createFileRecords(api.redis, api.keys);
});
afterAll(async () => {
  await second.close();
  await api.close();
});

const md5Of = (content: string): string => createHash('md5').update(content).digest('hex');
const part = async (content: string) => ({ data: await toFile(Buffer.from(content), 'part') });

const create = (client: OpenAI, content: string, more: Partial<OpenAI.UploadCreateParams> = {}) =>
  client.uploads.create({
    bytes: Buffer.byteLength(content),
    filename: 'Prompts "für" morgen.jsonl',
    mime_type: 'application/jsonl',
    purpose: 'batch',
    ...more,
  });

/** The content cut at these places. */
const cut = (content: string, ...at: readonly number[]): string[] =>
  [0, ...at].map((start, i) => content.slice(start, at[i] ?? content.length));

/** An upload of this content with all its parts. */
const uploadParts = async (client: OpenAI, contents: readonly string[]) => {
  const upload = await create(client, contents.join(''));
  const parts = await Promise.all(
    contents.map(async (content) => client.uploads.parts.create(upload.id, await part(content))),
  );
  return { id: upload.id, part_ids: parts.map(({ id }) => id) };
};

const storedBytes = async (tenant: string): Promise<number> => (await records.used(tenant)).storedBytes;
const storedParts = async (id: string): Promise<string[]> =>
  (await api.stored()).filter((key) => key.startsWith(uploadFolder(id)));

describe('an upload in parts, by the official SDK', () => {
  it('makes one file of parts that come in any order', async () => {
    const content = lines(30);
    const before = await storedBytes('alice');
    const upload = await create(api.alice, content, { expires_after: { anchor: 'created_at', seconds: 7200 } });
    expect(uploadObject.parse(upload)).toEqual(upload);
    expect(upload).toMatchObject({
      object: 'upload',
      status: 'pending',
      bytes: content.length,
      filename: 'Prompts "für" morgen.jsonl',
      purpose: 'batch',
      file: null,
    });
    expect(upload.expires_at - upload.created_at).toBe(3600);

    // Not at the end of a line, and the last part first.
    const [first = '', middle = '', last = ''] = cut(content, 1000, 2001);
    const [c, a, b] = await Promise.all(
      [last, first, middle].map(async (each) => api.alice.uploads.parts.create(upload.id, await part(each))),
    );
    expect(partObject.parse(c)).toEqual(c);
    expect(c).toMatchObject({ object: 'upload.part', upload_id: upload.id });
    // One that was sent again, since its answer was lost.
    await api.alice.uploads.parts.create(upload.id, await part(middle));
    expect(await storedBytes('alice')).toBe(before + content.length + middle.length);

    const part_ids = [a?.id ?? '', b?.id ?? '', c?.id ?? ''];
    const done = await api.alice.uploads.complete(upload.id, { part_ids, md5: md5Of(content).toUpperCase() });
    expect(uploadObject.parse(done)).toEqual(done);
    expect(done).toMatchObject({ id: upload.id, status: 'completed', file: { object: 'file', bytes: content.length } });
    const file = await api.alice.files.retrieve(done.file?.id ?? '');
    expect(file).toEqual(done.file);
    expect(file).toMatchObject({ filename: upload.filename, purpose: 'batch', status: 'processed' });
    expect((file.expires_at ?? 0) - file.created_at).toBe(7200);
    expect(await (await api.alice.files.content(file.id)).text()).toBe(content);
    expect((await records.get('alice', file.id))?.summary?.requests).toBe(30);

    expect(await storedParts(upload.id)).toEqual([]);
    expect(await storedBytes('alice')).toBe(before + content.length);
    // Its answer was lost, too.
    expect(await api.alice.uploads.complete(upload.id, { part_ids })).toEqual(done);
    await expect(api.alice.uploads.complete(upload.id, { part_ids: part_ids.toReversed() })).rejects.toMatchObject({
      status: 400,
      code: 'upload_completed',
    });
  });

  it('goes on at another api, and makes one file however often it is completed at once', async () => {
    const content = lines(40);
    const halves = cut(content, 2000);
    const upload = await create(api.alice, content);
    const [a, b] = await Promise.all(
      [api.alice, second.alice].map(async (client, i) =>
        client.uploads.parts.create(upload.id, await part(halves[i] ?? '')),
      ),
    );
    const body = { part_ids: [a?.id ?? '', b?.id ?? ''] };
    const files = async () => (await api.stored()).filter((key) => key.startsWith('files/'));
    const before = await files();
    const answers = await Promise.all(
      Array.from({ length: 8 }, (_, i) => (i % 2 === 0 ? api : second).alice.uploads.complete(upload.id, body)),
    );
    const [first] = answers;
    for (const answer of answers) expect(answer).toEqual(first);
    expect(await (await second.alice.files.content(first?.file?.id ?? '')).text()).toBe(content);
    expect((await files()).filter((key) => !before.includes(key))).toEqual([fileKey(first?.file?.id ?? '')]);
  });

  it('makes an empty file of no parts', async () => {
    const upload = await create(api.alice, '');
    const { file } = await api.alice.uploads.complete(upload.id, { part_ids: [] });
    expect(file?.bytes).toBe(0);
  });

  it('is cancelled with its parts', async () => {
    const before = await storedBytes('alice');
    const { id, part_ids } = await uploadParts(api.alice, [lines(2), lines(3)]);
    for (let i = 0; i < 2; i++) expect((await api.alice.uploads.cancel(id)).status).toBe('cancelled');
    expect(await storedParts(id)).toEqual([]);
    expect(await storedBytes('alice')).toBe(before);
    const cancelled = { status: 400, code: 'upload_cancelled' };
    await expect(api.alice.uploads.parts.create(id, await part('x'))).rejects.toMatchObject(cancelled);
    await expect(api.alice.uploads.complete(id, { part_ids })).rejects.toMatchObject(cancelled);
    expect(await storedParts(id)).toEqual([]);
  });

  it('takes no part and no cancel after it was completed', async () => {
    const { id, part_ids } = await uploadParts(api.alice, [lines(1)]);
    await api.alice.uploads.complete(id, { part_ids });
    const completed = { status: 400, code: 'upload_completed' };
    await expect(api.alice.uploads.parts.create(id, await part('x'))).rejects.toMatchObject(completed);
    await expect(api.alice.uploads.cancel(id)).rejects.toMatchObject(completed);
    expect(await storedParts(id)).toEqual([]);
  });

  it('has no file any more when that was deleted', async () => {
    const { id, part_ids } = await uploadParts(api.alice, [lines(1)]);
    const { file } = await api.alice.uploads.complete(id, { part_ids });
    await api.alice.files.delete(file?.id ?? '');
    expect(await api.alice.uploads.complete(id, { part_ids })).toMatchObject({ status: 'completed', file: null });
  });
});

describe('what an upload in parts may not be', () => {
  it.each([
    ['another purpose', { purpose: 'fine-tune' }, 400, { code: 'invalid_value', param: 'purpose' }],
    ['no size', { bytes: undefined }, 400, { code: 'missing_required_parameter', param: 'bytes' }],
    ['a very long name', { filename: 'x'.repeat(256) }, 400, { code: 'string_above_max_length', param: 'filename' }],
    ['half a character in its name', { filename: '\ud83c' }, 400, { code: 'invalid_value', param: 'filename' }],
    ['larger than a file may be', { bytes: 2 ** 50 }, 413, { code: 'file_too_large', param: 'bytes' }],
  ] as const)('%s', async (_name, more, status, error) => {
    await expect(create(api.alice, '', more as object)).rejects.toMatchObject({ status, ...error });
  });

  it('completed with other bytes, another MD5, an unknown part or one part twice', async () => {
    const content = lines(10);
    const { id, part_ids } = await uploadParts(api.alice, cut(content, 500));
    const [first = '', last = ''] = part_ids;
    const files = (await api.stored()).filter((key) => key.startsWith('files/'));
    const strange = newPartId();
    const other = await uploadParts(api.alice, [content]);
    const refused = async (body: OpenAI.UploadCompleteParams, error: object) =>
      expect(api.alice.uploads.complete(id, body)).rejects.toMatchObject({ status: 400, ...error });
    await refused({ part_ids: [first] }, { code: 'bytes_mismatch', param: 'part_ids' });
    await refused({ part_ids: [first, strange] }, { code: 'part_not_found', message: /No such Part/ });
    await refused({ part_ids: other.part_ids }, { code: 'part_not_found' });
    await refused({ part_ids: [first, '../../x'] }, { code: 'part_not_found' });
    await refused({ part_ids: [first, last, last] }, { code: 'invalid_value', param: 'part_ids' });
    await refused({ part_ids, md5: 'x' }, { code: 'invalid_value', param: 'md5' });
    const wrong = { part_ids, md5: md5Of('x') };
    const mismatch = { code: 'md5_mismatch', param: 'md5', message: expect.stringContaining(md5Of(content)) as string };
    await refused(wrong, mismatch);
    // The repeat of one whose connection was cut after a long time is refused without reading the parts.
    await api.files.delete(partKey(id, first));
    await refused(wrong, mismatch);
    await api.files.put(partKey(id, first), content.slice(0, 500));
    expect((await api.stored()).filter((key) => key.startsWith('files/'))).toEqual(files);
    expect(await api.partialUploads()).toEqual([]);

    const done = await api.alice.uploads.complete(id, { part_ids, md5: md5Of(content) });
    expect(done.status).toBe('completed');
  });

  it('a part that is too large, or comes with a field', async () => {
    const { id } = await create(api.alice, lines(1));
    const data = await part('x'.repeat(64 * 2 ** 20 + 1));
    await expect(api.alice.uploads.parts.create(id, data)).rejects.toMatchObject({
      status: 413,
      code: 'part_too_large',
    });
    const form = new FormData();
    form.set('data', new Blob(['x']));
    form.set('number', '1');
    const response = await api.request(`/v1/uploads/${id}/parts`, { method: 'POST', body: form });
    expect(await response.json()).toMatchObject({ error: { code: 'unknown_parameter', param: 'number' } });
    expect(await storedParts(id)).toEqual([]);
    expect(await api.redis.zcard(api.keys.places('alice', 'uploads'))).toBe(0);
  });

  it('one that has expired, or that is not there', async () => {
    const { id, part_ids } = await uploadParts(api.alice, [lines(1)]);
    const upload = await uploads.get('alice', id);
    if (!upload) throw new Error('no upload');
    await api.redis.hset(api.keys.upload('alice', id), 'record', JSON.stringify({ ...upload, expiresAt: 1 }));
    const expired = { status: 400, code: 'upload_expired' };
    await expect(api.alice.uploads.parts.create(id, await part('x'))).rejects.toMatchObject(expired);
    await expect(api.alice.uploads.complete(id, { part_ids })).rejects.toMatchObject(expired);
    expect((await api.alice.uploads.cancel(id)).status).toBe('expired');
    for (const client of [api.bob, api.alice]) {
      const unknown = client === api.bob ? id : '../../x';
      await expect(client.uploads.cancel(unknown)).rejects.toMatchObject({
        status: 404,
        message: `404 No such Upload object: ${unknown}`,
      });
    }
  });
});

describe('limits of a tenant', () => {
  it('count its parts, and say at once that a file has no room', async () => {
    const client = api.clientOf('limited-key-1');
    const tooMany = { status: 507, code: 'too_many_stored_bytes' };
    await expect(create(client, 'x'.repeat(limitedBytes + 1))).rejects.toMatchObject(tooMany);
    const content = 'x'.repeat(12_000);
    const upload = await create(client, content);
    const { id: only } = await client.uploads.parts.create(upload.id, await part(content));
    await expect(client.uploads.parts.create(upload.id, await part(content))).rejects.toMatchObject(tooMany);
    // The file takes the place of its parts: there is no room for both.
    await client.uploads.complete(upload.id, { part_ids: [only] });
    expect(await storedBytes('limited')).toBe(12_000);
  });
});

describe('an api that dies while it completes an upload', () => {
  const completion = (part_ids: readonly string[]) => ({
    fileId: newFileId(),
    partsHash: createHash('sha256').update(JSON.stringify(part_ids)).digest('hex'),
  });

  it('is followed by one that begins again', async () => {
    const { id, part_ids } = await uploadParts(api.alice, [lines(2)]);
    const dead = completion(part_ids);
    await uploads.beginCompletion('alice', id, dead);
    await expect(api.alice.uploads.cancel(id)).rejects.toMatchObject({ status: 409, code: 'upload_busy' });
    // As when its time is over.
    await uploads.giveUpCompletion('alice', id, dead);
    const { file } = await second.alice.uploads.complete(id, { part_ids });
    expect(file?.id).not.toBe(dead.fileId);
    expect(await (await api.alice.files.content(file?.id ?? '')).text()).toBe(lines(2));
  });

  it('has made the file when its record is written', async () => {
    const { id, part_ids } = await uploadParts(api.alice, [lines(2)]);
    const dead = completion(part_ids);
    await uploads.beginCompletion('alice', id, dead);
    const { bytes } = await api.files.put(fileKey(dead.fileId), lines(2));
    const createdAt = Math.floor(Date.now() / 1000);
    await records.put({ id: dead.fileId, tenant: 'alice', filename: 'a', purpose: 'batch', bytes, createdAt });
    const { file } = await api.alice.uploads.complete(id, { part_ids });
    expect(file?.id).toBe(dead.fileId);
    expect(await storedParts(id)).toEqual([]);
  });

  it('discards its file when another was faster', async () => {
    const { id, part_ids } = await uploadParts(api.alice, [lines(2)]);
    const slow = completion(part_ids);
    await uploads.beginCompletion('alice', id, slow);
    await uploads.giveUpCompletion('alice', id, slow);
    const { file } = await api.alice.uploads.complete(id, { part_ids });
    expect(await uploads.beginCompletion('alice', id, slow)).toBe('completed');
    expect(await uploads.complete('alice', id, slow.fileId)).toBe('completed');
    expect((await uploads.get('alice', id))?.completion?.fileId).toBe(file?.id);
  });
});

it('is answered with spaces before the object when it takes long, which the SDK reads over', async () => {
  const app = express();
  const limits = { maxBytes: 1, maxTenantBytes: 1, maxWaitMs: 1, maxWaiting: 1 };
  const handle = async ({ response }: Call) => {
    // As keepWaiting does.
    response.status(200).type('json').write(' ');
    return { id: 'upload_0', status: 'cancelled' };
  };
  mountRoute(
    app,
    { method: 'post', path: '/uploads/{id}/cancel', summary: '', tag: 'Uploads', answer: { description: '' }, handle },
    { closed: [], metrics: (_request, _response, next) => next(), largeBodies: createLargeBodies(limits) },
  );
  const server = await startHttpServer(app, { host: '127.0.0.1', port: 0, graceMs: 0 });
  const client = new OpenAI({ baseURL: server.url, apiKey: 'none', maxRetries: 0 });
  expect(await client.uploads.cancel('upload_0')).toEqual({ id: 'upload_0', status: 'cancelled' });
  await server.close();
});

it('is restored after Redis has lost it, with its parts', async () => {
  const { id, part_ids } = await uploadParts(api.bob, cut(lines(5), 300));
  await deleteKeys(api.redis, api.prefix);
  const third = await startTestApi({ redisUrl: inject('redisUrl'), env: { ...env, ...api.shared } });
  try {
    await expect.poll(() => uploads.get('bob', id)).toBeDefined();
    const { file } = await third.bob.uploads.complete(id, { part_ids });
    expect(await (await third.bob.files.content(file?.id ?? '')).text()).toBe(lines(5));
  } finally {
    await third.close();
  }
});

it('joins 30 MB in flat memory', async () => {
  const body = { model: 'simulator/echo', messages: [{ role: 'user', content: 'x'.repeat(10_000) }] };
  const content = Array.from({ length: 1000 }, (_, i) => line(i, { body })).join('');
  const partIds = [newPartId(), newPartId(), newPartId()];
  const { id } = await create(api.alice, '', { bytes: partIds.length * content.length });
  for (const partId of partIds) {
    await api.files.put(partKey(id, partId), content);
    await uploads.addPart('alice', id, { id: partId, bytes: content.length }, 10);
  }
  const memory = startMemoryMeter();
  const completed = api.alice.uploads.complete(id, { part_ids: partIds });
  // Each sample stops everything for a while; in between the work must go on.
  while ((await Promise.race([completed, delay(100)])) === undefined) memory.sample();
  const { file } = await completed;
  expect(file?.bytes).toBe(3 * content.length);
  expect(memory.growthBytes()).toBeLessThan(10e6);
});
