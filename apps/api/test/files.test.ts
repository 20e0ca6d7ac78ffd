import { once } from 'node:events';
import { request as httpRequest } from 'node:http';
import path from 'node:path';
import { AuthenticationError } from 'openai';
import { afterAll, beforeAll, describe, expect, inject, it } from 'vitest';
import { fileObject } from '../src/files/file-schemas.ts';
import { startMemoryMeter } from '../../../tests/support/live-memory.ts';
import { inputFile, line, lines } from './support/input.ts';
import { keys, startTestApi, type TestApi } from './support/test-api.ts';

let api: TestApi;

beforeAll(async () => {
  api = await startTestApi({
    redisUrl: inject('redisUrl'),
    env: { PROMPTMILL_MAX_LINE_BYTES: '100000', PROMPTMILL_MAX_FILE_BYTES: '70000000' },
  });
});
afterAll(() => api.close());

const upload = async (content: string, name?: string) =>
  api.alice.files.create({ file: await inputFile(content, name), purpose: 'batch' });

const postForm = async (form: Readonly<Record<string, string | Blob>>) => {
  const body = new FormData();
  for (const [name, value] of Object.entries(form)) body.append(name, value);
  const response = await api.request('/v1/files', { method: 'POST', body });
  return { status: response.status, body: await response.json() };
};

/** The name under which a client saves a download. Source: https://www.rfc-editor.org/rfc/rfc6266 */
const savedName = (disposition: string): string | undefined => {
  const extended = /; filename\*=UTF-8''([^;]+)$/.exec(disposition)?.[1];
  if (extended !== undefined) return decodeURIComponent(extended);
  const [, quoted, token] = /; filename=(?:"((?:[^"\\]|\\.)*)"|([^";]+))$/.exec(disposition) ?? [];
  return quoted?.replace(/\\(.)/g, '$1') ?? token;
};

/** The errors of a batch made from this input, by code and line. */
const batchErrorsOf = async (content: string) => {
  const { id: input_file_id } = await upload(content);
  const endpoint = '/v1/chat/completions';
  const { id } = await api.alice.batches.create({ input_file_id, endpoint, completion_window: '24h' });
  await expect.poll(() => api.alice.batches.retrieve(id), { timeout: 10_000 }).toMatchObject({ status: 'failed' });
  const { errors } = await api.alice.batches.retrieve(id);
  return errors?.data?.map(({ code, line }) => [code, line]);
};

/** An upload as bytes on the wire, whose file is written part by part. */
const startRawUpload = (length?: number) => {
  const boundary = 'b0undary';
  const head = [
    `--${boundary}\r\ncontent-disposition: form-data; name="purpose"\r\n\r\nbatch\r\n`,
    `--${boundary}\r\ncontent-disposition: form-data; name="file"; filename="big.jsonl"\r\n\r\n`,
  ].join('');
  const request = httpRequest(`${api.url}/v1/files`, {
    method: 'POST',
    headers: {
      authorization: `Bearer ${keys.alice}`,
      'content-type': `multipart/form-data; boundary=${boundary}`,
      ...(length === undefined ? {} : { 'content-length': length }),
    },
  });
  let hasAnswer = false;
  const answered = new Promise<{ status: number; body: unknown }>((resolve, reject) => {
    request.on('error', reject);
    request.on('response', (response) => {
      hasAnswer = true;
      const answer = async () => ({
        status: response.statusCode ?? 0,
        body: JSON.parse((await response.toArray()).join('')) as unknown,
      });
      answer().then(resolve, reject);
    });
  });
  request.write(head);
  return {
    request,
    answered,
    isAnswered: () => hasAnswer,
    async write(text: string): Promise<void> {
      // Node's client sends no more, and so never drains, once it has its answer.
      if (!request.write(text)) await Promise.race([once(request, 'drain'), answered]);
    },
    end: () => request.end(`\r\n--${boundary}--\r\n`),
  };
};

describe('upload, list, retrieve, download and delete, by the official SDK', () => {
  it('returns the uploaded bytes', async () => {
    const content = lines(3);
    const file = await upload(content, 'Prompts für morgen 日.jsonl');
    expect(file).toMatchObject({
      object: 'file',
      bytes: Buffer.byteLength(content),
      filename: 'Prompts für morgen 日.jsonl',
      purpose: 'batch',
      status: 'processed',
    });
    expect(fileObject.parse(file)).toEqual(file);
    expect(file.id).toMatch(/^file-[0-9a-f]{32}$/);
    expect(file.expires_at).toBe(file.created_at + 30 * 86_400);
    expect(await api.alice.files.retrieve(file.id)).toEqual(file);

    const downloaded = await api.alice.files.content(file.id);
    expect(downloaded.headers.get('content-length')).toBe(String(file.bytes));
    expect(downloaded.headers.get('content-type')).toBe('application/octet-stream');
    expect(downloaded.headers.get('content-disposition')).toContain("filename*=UTF-8''Prompts%20f%C3%BCr");
    expect(await downloaded.text()).toBe(content);

    expect(await api.alice.files.delete(file.id)).toEqual({ id: file.id, object: 'file', deleted: true });
    await expect(api.alice.files.retrieve(file.id)).rejects.toMatchObject({
      status: 404,
      message: expect.stringContaining(`No such File object: ${file.id}`),
    });
    expect(await api.stored()).not.toContain(`files/${file.id}`);
  });

  it('takes fields after the file, and an expiry', async () => {
    const form = new FormData();
    form.append('file', new Blob([lines(1)]), 'input.jsonl');
    form.append('expires_after[seconds]', '3600');
    form.append('expires_after[anchor]', 'created_at');
    form.append('purpose', 'batch');
    const response = await api.request('/v1/files', { method: 'POST', body: form });
    const file = (await response.json()) as { created_at: number; expires_at: number };
    expect(response.status).toBe(200);
    expect(file.expires_at - file.created_at).toBe(3600);
  });

  it.each([
    'a"b".jsonl',
    'ümläut 日本 🎉.jsonl',
    String.raw`back\slash.jsonl`,
    String.raw`at its end\ `.trim(),
    '100 %; a=b, 50%20.jsonl',
    "it's; filename=x.jsonl",
    'two\nlines.jsonl',
    '../folder/a.jsonl',
  ])('keeps the name %j as browsers and fetch send it', async (name) => {
    const form = new FormData();
    form.set('purpose', 'batch');
    form.set('file', new Blob([lines(1)]), name);
    const response = await api.request('/v1/files', { method: 'POST', body: form });
    const { id, filename } = (await response.json()) as { id: string; filename: string };
    expect(filename).toBe(name);
    expect((await api.alice.files.retrieve(id)).filename).toBe(name);
    const { headers } = await api.alice.files.content(id);
    // RFC 6266: without folders.
    expect(savedName(headers.get('content-disposition') ?? '')).toBe(path.basename(name));
  });

  it.each([
    [String.raw`filename="a\"b\\c.jsonl"`, String.raw`a"b\c.jsonl`],
    [String.raw`filename="a%22b\\c.jsonl"`, String.raw`a"b\c.jsonl`],
    [`filename="plain.jsonl"; filename*=UTF-8''n%C3%A4me%20%22.jsonl`, 'näme ".jsonl'],
    [`filename*=utf-8''%F0%9F%8E%89%2522.jsonl`, '🎉%22.jsonl'],
    [`filename*=iso-8859-1''n%E4me.jsonl`, 'näme.jsonl'],
    ['filename=bare.jsonl', 'bare.jsonl'],
    ['filename=""', 'upload.jsonl'],
  ])('keeps the name in %j', async (parameter, name) => {
    const body = [
      '--x\r\ncontent-disposition: form-data; name="purpose"\r\n\r\nbatch\r\n',
      `--x\r\ncontent-disposition: form-data; name="file"; ${parameter}\r\n\r\n${line(0)}\r\n--x--\r\n`,
    ].join('');
    const headers = { 'content-type': 'multipart/form-data; boundary=x' };
    const response = await api.request('/v1/files', { method: 'POST', headers, body });
    expect(await response.json()).toMatchObject({ filename: name, bytes: line(0).length });
  });

  it('lists page by page, either way', async () => {
    const client = api.bob;
    const created: string[] = [];
    for (let i = 0; i < 45; i++) {
      const file = await client.files.create({ file: await inputFile(line(i)), purpose: 'batch' });
      created.push(file.id);
    }
    const oldestFirst = await Array.fromAsync(client.files.list({ limit: 10, order: 'asc' }), ({ id }) => id);
    expect(oldestFirst).toEqual(created);
    const newestFirst = await Array.fromAsync(client.files.list({ limit: 20, purpose: 'batch' }), ({ id }) => id);
    expect(newestFirst).toEqual(created.toReversed());
    expect((await client.files.list()).data).toHaveLength(45);
    expect((await client.files.list({ purpose: 'batch_output' })).data).toEqual([]);
    expect((await client.files.list({ purpose: 'assistants' })).data).toEqual([]);
  });

  it('serves ranges', async () => {
    const content = lines(2);
    const { id } = await upload(content);
    const get = (range: string, more = {}) => api.request(`/v1/files/${id}/content`, { headers: { range, ...more } });

    const part = await get('bytes=5-9');
    expect(part.status).toBe(206);
    expect(part.headers.get('content-range')).toBe(`bytes 5-9/${content.length}`);
    expect(await part.text()).toBe(content.slice(5, 10));
    expect(await (await get('bytes=-4')).text()).toBe(content.slice(-4));
    expect(await (await get('bytes=5-9', { 'if-range': '"another"' })).text()).toBe(content);

    const beyond = await get(`bytes=${content.length}-`);
    expect(beyond.status).toBe(416);
    expect(beyond.headers.get('content-range')).toBe(`bytes */${content.length}`);
    expect(await beyond.json()).toMatchObject({ error: { code: 'invalid_range' } });

    const head = await api.request(`/v1/files/${id}/content`, { method: 'HEAD' });
    expect(head.headers.get('content-length')).toBe(String(content.length));
  });
});

describe('what an upload or a query may not be', () => {
  const file = new Blob([lines(1)]);

  it.each([
    ['no file', { purpose: 'batch' }, { code: 'missing_required_parameter', param: 'file' }],
    ['a file that is text', { purpose: 'batch', file: 'x' }, { code: 'missing_required_parameter', param: 'file' }],
    ['an empty purpose', { file, purpose: '' }, { code: 'invalid_value', param: 'purpose' }],
    ['no purpose', { file }, { code: 'missing_required_parameter', param: 'purpose' }],
    ['an unknown field', { file, purpose: 'batch', colour: 'red' }, { code: 'unknown_parameter', param: 'colour' }],
    ['an unknown file', { file, purpose: 'batch', other: file }, { code: 'unknown_parameter', param: 'other' }],
    [
      'half an expiry',
      { file, purpose: 'batch', 'expires_after[seconds]': '3600' },
      { code: 'invalid_value', param: 'expires_after' },
    ],
    [
      'too soon an expiry',
      { file, purpose: 'batch', 'expires_after[anchor]': 'created_at', 'expires_after[seconds]': '60' },
      { code: 'integer_below_min_value', param: 'expires_after[seconds]' },
    ],
  ])('%s', async (_name, form, error) => {
    const before = await api.stored();
    expect(await postForm(form)).toMatchObject({
      status: 400,
      body: { error: { type: 'invalid_request_error', ...error } },
    });
    expect(await api.stored()).toEqual(before);
  });

  it.each(['fine-tune', 'assistants', 'vision', 'user_data', 'evals'])('the purpose %s', async (purpose) => {
    const message = `Invalid value: '${purpose}'. Supported values are: 'batch'.`;
    expect(await postForm({ file, purpose })).toEqual({
      status: 400,
      body: { error: { message, type: 'invalid_request_error', param: 'purpose', code: 'invalid_value' } },
    });
  });

  it('a file with a very long name', async () => {
    const before = await api.stored();
    const form = new FormData();
    form.set('purpose', 'batch');
    form.set('file', file, 'x'.repeat(256));
    const response = await api.request('/v1/files', { method: 'POST', body: form });
    expect(response.status).toBe(400);
    expect(await response.json()).toMatchObject({
      error: { code: 'string_above_max_length', param: 'file', message: expect.stringMatching(/ 256 .* 255\./) },
    });
    expect(await api.stored()).toEqual(before);
  });

  it.each([
    ['JSON', 'application/json', '{}'],
    ['no boundary', 'multipart/form-data', 'x'],
    [
      'a body cut short',
      'multipart/form-data; boundary=x',
      '--x\r\ncontent-disposition: form-data; name="file"; filename="a"\r\n\r\nabc',
    ],
  ])('%s', async (_name, type, body) => {
    const before = await api.stored();
    const response = await api.request('/v1/files', { method: 'POST', headers: { 'content-type': type }, body });
    expect(response.status).toBe(400);
    expect(await response.json()).toMatchObject({ error: { code: 'invalid_multipart' } });
    expect(await api.stored()).toEqual(before);
  });

  it.each([
    ['limit=0', { code: 'integer_below_min_value', param: 'limit' }],
    ['limit=1001', { code: 'integer_above_max_value', param: 'limit' }],
    ['limit=many', { code: 'invalid_type', param: 'limit' }],
    ['order=up', { code: 'invalid_value', param: 'order' }],
    ['after=file-00000000000000000000000000000000', { code: 'invalid_value', param: 'after' }],
  ])('a list with %s', async (query, error) => {
    const response = await api.request(`/v1/files?${query}`);
    expect(response.status).toBe(400);
    expect(await response.json()).toMatchObject({ error });
  });

  it("another tenant's file, or an id that is none", async () => {
    const { id } = await upload(lines(1));
    for (const unknown of [id, 'file-1', '../../etc/passwd', 'batch_0123456789abcdef0123456789abcdef']) {
      const message = `404 No such File object: ${unknown}`;
      await expect(api.bob.files.retrieve(unknown)).rejects.toMatchObject({ status: 404, message, param: 'id' });
      await expect(api.bob.files.content(unknown)).rejects.toMatchObject({ status: 404, message });
      await expect(api.bob.files.delete(unknown)).rejects.toMatchObject({ status: 404, message });
    }
    expect((await api.alice.files.retrieve(id)).id).toBe(id);
  });

  it('a key that is wrong, or none', async () => {
    await expect(api.clientOf('wrong-key-000').files.list()).rejects.toMatchObject({
      constructor: AuthenticationError,
      code: 'invalid_api_key',
      type: 'invalid_request_error',
    });
    const response = await fetch(`${api.url}/v1/files`);
    expect(response.status).toBe(401);
    // Also where a large body is on its way already.
    const big = await inputFile('x'.repeat(5_000_000));
    await expect(api.clientOf('wrong-key-000').files.create({ file: big, purpose: 'batch' })).rejects.toMatchObject({
      status: 401,
    });
  });

  it('a file over the limit', async () => {
    const before = await api.stored();
    const raw = startRawUpload();
    raw.request.on('error', () => {});
    const block = 'x'.repeat(1_000_000);
    for (let i = 0; i < 100 && !raw.isAnswered(); i++) await raw.write(block);
    raw.end();
    expect(await raw.answered).toMatchObject({ status: 413, body: { error: { code: 'file_too_large' } } });
    expect(await api.stored()).toEqual(before);
  });
});

describe('validation while uploading', () => {
  it('keeps what is wrong with each line for the batch', async () => {
    const bad = [line(0), '{"custom_id":\n', line(2), line(3, { body: {} }), line(0), `"${'x'.repeat(100_001)}"\n`];
    expect(await batchErrorsOf(bad.join(''))).toEqual([
      ['invalid_json_line', 2],
      ['missing_required_parameter', 4],
      ['duplicate_custom_id', 5],
      ['line_too_large', 6],
    ]);
  });

  it('finds that a file has no requests', async () => {
    expect(await batchErrorsOf('\n \n')).toEqual([['empty_file', null]]);
  });
});

it('leaves nothing of an upload that its client breaks off', async () => {
  const before = await api.stored();
  const raw = startRawUpload();
  raw.answered.catch(() => {});
  for (let i = 0; i < 10; i++) await raw.write(lines(1000));
  await expect.poll(() => api.partialUploads()).not.toEqual([]);
  raw.request.destroy();
  await expect.poll(() => api.partialUploads()).toEqual([]);
  expect(await api.stored()).toEqual(before);
});

it('takes 15,000 lines, 60 MB, in flat memory', async () => {
  const raw = startRawUpload();
  const body = { model: 'simulator/echo', messages: [{ role: 'user', content: 'x'.repeat(4000) }] };
  const memory = startMemoryMeter();
  for (let i = 0; i < 15_000; i++) {
    await raw.write(line(i, { body }));
    if (i % 1000 === 999) memory.sample();
  }
  raw.end();
  expect(await raw.answered).toMatchObject({ status: 200, body: { object: 'file' } });
  // Client and server are in this process: whichever held the file would hold 60 MB.
  expect(memory.growthBytes()).toBeLessThan(20e6);
});
