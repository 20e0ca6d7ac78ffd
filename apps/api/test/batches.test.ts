import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, inject, it } from 'vitest';
import { batchObject } from '../src/batches/batch-schemas.ts';
import { inputFile, lines } from './support/input.ts';
import { startTestApi, type TestApi } from './support/test-api.ts';

let api: TestApi;
let inputFileId: string;

const chat = { endpoint: '/v1/chat/completions', completion_window: '24h' } as const;

beforeAll(async () => {
  api = await startTestApi({ redisUrl: inject('redisUrl') });
  const file = await api.alice.files.create({ file: await inputFile(lines(3)), purpose: 'batch' });
  inputFileId = file.id;
});
afterAll(() => api.close());

const post = async (body: unknown, headers: Readonly<Record<string, string>> = {}) => {
  const response = await api.request('/v1/batches', {
    method: 'POST',
    headers: { 'content-type': 'application/json', ...headers },
    body: JSON.stringify(body),
  });
  return { status: response.status, body: (await response.json()) as { id: string; input_file_id: string } };
};

const good = () => ({ ...chat, input_file_id: inputFileId });

const untilStatus = async (id: string, status: string) => {
  await expect.poll(() => api.alice.batches.retrieve(id), { timeout: 10_000 }).toMatchObject({ status });
  return api.alice.batches.retrieve(id);
};

describe('create, retrieve, list and cancel, by the official SDK', () => {
  it('answers at once, and runs', async () => {
    const metadata = { run: 'nightly' };
    const expiry = { anchor: 'created_at', seconds: 7200 } as const;
    const batch = await api.alice.batches.create({
      ...chat,
      input_file_id: inputFileId,
      metadata,
      output_expires_after: expiry,
    });
    expect(batch).toMatchObject({
      object: 'batch',
      status: 'validating',
      input_file_id: inputFileId,
      output_file_id: null,
      error_file_id: null,
      errors: null,
      expires_at: batch.created_at + 86_400,
      in_progress_at: null,
      request_counts: { total: 0, completed: 0, failed: 0 },
      metadata,
    });
    // No more and no less than is documented.
    expect(batchObject.parse(batch)).toEqual(batch);
    expect(batch.id).toMatch(/^batch_[0-9a-f]{32}$/);
    expect(await untilStatus(batch.id, 'in_progress')).toMatchObject({
      model: 'simulator/echo',
      request_counts: { total: 3 },
    });
  });

  it('lists 45, newest first', async () => {
    const { id: input_file_id } = await api.bob.files.create({ file: await inputFile(lines(1)), purpose: 'batch' });
    const created: string[] = [];
    for (let i = 0; i < 45; i++) created.push((await api.bob.batches.create({ ...chat, input_file_id })).id);
    const listed = await Array.fromAsync(api.bob.batches.list({ limit: 20 }), ({ id }) => id);
    expect(listed).toEqual(created.toReversed());
    const first = await api.bob.batches.list();
    expect(first.data).toHaveLength(20);
    expect(first.has_more).toBe(true);
  });

  it('cancels, and cancels again', async () => {
    const { id } = await api.alice.batches.create({ ...chat, input_file_id: inputFileId });
    await untilStatus(id, 'in_progress');
    const cancelling = await api.alice.batches.cancel(id);
    expect(cancelling.status).toBe('cancelling');
    expect(cancelling.cancelling_at).toBeTypeOf('number');
    expect((await api.alice.batches.cancel(id)).cancelling_at).toBe(cancelling.cancelling_at);
  });

  it('does not cancel what has ended', async () => {
    const empty = await api.alice.files.create({ file: await inputFile('\n'), purpose: 'batch' });
    const { id } = await api.alice.batches.create({ ...chat, input_file_id: empty.id });
    await untilStatus(id, 'failed');
    await expect(api.alice.batches.cancel(id)).rejects.toMatchObject({
      status: 409,
      message: "409 Cannot cancel a batch with status 'failed'.",
    });
  });

  it("does not know another tenant's batch, or an id that is none", async () => {
    const { id } = await api.alice.batches.create({ ...chat, input_file_id: inputFileId });
    for (const unknown of [id, 'batch_1', inputFileId]) {
      const error = { status: 404, message: `404 No batch found with id '${unknown}'.` };
      await expect(api.bob.batches.retrieve(unknown)).rejects.toMatchObject(error);
      await expect(api.bob.batches.cancel(unknown)).rejects.toMatchObject(error);
    }
    await expect(api.bob.batches.create({ ...chat, input_file_id: inputFileId })).rejects.toMatchObject({
      status: 400,
      param: 'input_file_id',
    });
  });
});

describe('what a batch may not be', () => {
  it.each([
    ['no input', () => ({ ...chat }), 'missing_required_parameter', 'input_file_id'],
    ['an unknown file', () => ({ ...good(), input_file_id: 'file-1' }), 'file_not_found', 'input_file_id'],
    ['an unknown endpoint', () => ({ ...good(), endpoint: '/v1/images' }), 'invalid_value', 'endpoint'],
    [
      'no window',
      () => ({ ...good(), completion_window: undefined }),
      'missing_required_parameter',
      'completion_window',
    ],
    ['a strange window', () => ({ ...good(), completion_window: '5s' }), 'invalid_value', 'completion_window'],
    [
      'an unknown key of ours',
      () => ({ ...good(), promptmill: { check_schemas: true } }),
      'unknown_parameter',
      'promptmill.check_schemas',
    ],
    ['a strange age', () => ({ ...good(), promptmill: { cache: '31d' } }), 'invalid_value', 'promptmill.cache'],
    ['text as dedupe', () => ({ ...good(), promptmill: { dedupe: 'yes' } }), 'invalid_type', 'promptmill.dedupe'],
    ['an unknown key', () => ({ ...good(), colour: 'red' }), 'unknown_parameter', 'colour'],
    ['a number as metadata', () => ({ ...good(), metadata: { a: 1 } }), 'invalid_type', 'metadata.a'],
    ['long metadata', () => ({ ...good(), metadata: { a: 'x'.repeat(513) } }), 'string_above_max_length', 'metadata.a'],
    [
      'much metadata',
      () => ({ ...good(), metadata: Object.fromEntries(Array.from({ length: 17 }, (_, i) => [i, ''])) }),
      'invalid_value',
      'metadata',
    ],
    ['no prompts', () => ({ model: 'simulator/echo', prompts: [] }), 'array_below_min_length', 'prompts'],
    ['prompts and a file', () => ({ ...good(), prompts: ['hi'] }), 'unknown_parameter', 'input_file_id'],
    ['prompts without a model', () => ({ prompts: ['hi'] }), 'missing_required_parameter', 'model'],
    [
      'a prompt that is none',
      () => ({ model: 'simulator/echo', prompts: ['hi', { text: 'ho' }] }),
      'invalid_value',
      'prompts[1]',
    ],
    ['a long model', () => ({ model: 'm'.repeat(257), prompts: ['hi'] }), 'string_above_max_length', 'model'],
    ['params that are none', () => ({ model: 'm', prompts: ['hi'], params: [1] }), 'invalid_value', 'params'],
    [
      'large params',
      () => ({ model: 'm', prompts: ['hi'], params: { a: 'x'.repeat(131_072) } }),
      'invalid_value',
      'params',
    ],
    [
      'deep params',
      () => ({ model: 'm', prompts: ['hi'], params: JSON.parse(`${'['.repeat(101)}${']'.repeat(101)}`) as unknown }),
      'invalid_json',
      null,
    ],
    [
      'prompts for another endpoint',
      () => ({ model: 'm', prompts: ['hi'], endpoint: '/v1/embeddings' }),
      'invalid_value',
      'endpoint',
    ],
  ])('%s', async (_name, body, code, param) => {
    const before = await api.stored();
    expect(await post(body())).toMatchObject({
      status: 400,
      body: { error: { type: 'invalid_request_error', code, param } },
    });
    expect(await api.stored()).toEqual(before);
  });

  it('prompts that make a much larger file', async () => {
    const before = [await api.stored(), await api.redis.zcard(api.keys.due)];
    const { status, body } = await post({
      model: 'simulator/echo',
      system: 'x'.repeat(500_000),
      prompts: Array.from({ length: 200 }, () => 'hi'),
    });
    expect(status).toBe(413);
    expect(body).toMatchObject({
      error: {
        code: 'request_too_large',
        param: 'prompts',
        message: expect.stringMatching(/ 1000\d{5} bytes.* 67108864\./),
      },
    });
    expect([await api.stored(), await api.redis.zcard(api.keys.due)]).toEqual(before);
  });

  it('no JSON', async () => {
    const json = 'application/json';
    const tooLarge = `"${'x'.repeat(33 * 2 ** 20)}"`;
    for (const [type, body, status, code] of [
      [json, '{"prompts":', 400, 'invalid_json'],
      ['text/plain', '{}', 400, 'missing_required_parameter'],
      [json, '', 400, 'missing_required_parameter'],
      [json, Buffer.from('{"model":"\xff"}', 'latin1'), 400, 'invalid_json'],
      ['application/json; charset=utf-16', '{}', 415, 'invalid_encoding'],
      [json, `[${'1,'.repeat(32_768)}1]`, 413, 'request_too_large'],
      [json, tooLarge, 413, 'request_too_large'],
    ] as const) {
      const headers = { 'content-type': type };
      const response = await api.request('/v1/batches', { method: 'POST', headers, body });
      expect(response.status).toBe(status);
      expect(await response.json()).toMatchObject({ error: { code } });
    }
  });
});

describe('inline prompts', () => {
  it('become an input file like any other', async () => {
    const { status, body } = await post({
      model: 'simulator/echo',
      system: 'Be brief.',
      params: { max_tokens: 500 },
      prompts: [
        'one',
        { custom_id: 'b', prompt: 'two' },
        { messages: [{ role: 'user', content: 'three' }], model: 'simulator/slow' },
      ],
    });
    expect(status).toBe(200);
    expect(body).toMatchObject({ status: 'validating', endpoint: '/v1/chat/completions', completion_window: '24h' });
    const file = await api.alice.files.retrieve(body.input_file_id);
    expect(file).toMatchObject({ filename: 'prompts.jsonl', purpose: 'batch' });
    const content = await (await api.alice.files.content(file.id)).text();
    const system = { role: 'system', content: 'Be brief.' };
    expect(
      content
        .trim()
        .split('\n')
        .map((text) => JSON.parse(text) as unknown),
    ).toEqual([
      {
        custom_id: 'request-1',
        method: 'POST',
        url: '/v1/chat/completions',
        body: { max_tokens: 500, model: 'simulator/echo', messages: [system, { role: 'user', content: 'one' }] },
      },
      expect.objectContaining({ custom_id: 'b' }),
      expect.objectContaining({
        custom_id: 'request-3',
        body: { max_tokens: 500, model: 'simulator/slow', messages: [system, { role: 'user', content: 'three' }] },
      }),
    ]);
    await untilStatus(body.id, 'in_progress');
  });

  it('fail as lines of a file do', async () => {
    const prompt = { custom_id: 'same', prompt: 'hi' };
    const { body } = await post({ model: 'simulator/echo', prompts: [prompt, prompt] });
    const failed = await untilStatus(body.id, 'failed');
    expect(failed.errors?.data).toMatchObject([{ code: 'duplicate_custom_id', line: 2 }]);
  });
});

describe('Idempotency-Key', () => {
  it('makes one batch of fifty creations at once', async () => {
    const headers = { 'idempotency-key': randomUUID() };
    const request = { model: 'simulator/echo', prompts: ['one', 'two'] };
    const answers = await Promise.all(Array.from({ length: 50 }, () => post(request, headers)));
    expect(new Set(answers.map(({ status }) => status))).toEqual(new Set([200]));
    const ids = new Set(answers.map(({ body }) => body.id));
    expect(ids.size).toBe(1);
    const [id = ''] = ids;
    await untilStatus(id, 'in_progress');
    const listed = await Array.fromAsync(api.alice.batches.list({ limit: 100 }), (batch) => batch.id);
    expect(listed.filter((other) => other === id)).toHaveLength(1);
    expect((await post(request, headers)).body.id).toBe(id);
  });

  it('refuses another body under the same key, of the same tenant', async () => {
    const headers = { 'idempotency-key': randomUUID() };
    const { status } = await post({ model: 'simulator/echo', prompts: ['one'] }, headers);
    expect(status).toBe(200);
    expect(await post({ model: 'simulator/echo', prompts: ['other'] }, headers)).toMatchObject({
      status: 409,
      body: { error: { code: 'idempotency_key_reused' } },
    });
  });

  it('can be used again after a creation that was refused', async () => {
    const headers = { 'idempotency-key': randomUUID() };
    expect((await post({ ...chat, input_file_id: 'file-1' }, headers)).status).toBe(400);
    expect((await post({ ...chat, input_file_id: inputFileId }, headers)).status).toBe(200);
  });
});
