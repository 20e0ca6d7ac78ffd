import { randomUUID } from 'node:crypto';
import { text } from 'node:stream/consumers';
import { fileKey, resultLine } from '@promptmill/core';
import { type BatchStore, createBatchStore } from '@promptmill/queue';
import { afterAll, beforeAll, describe, expect, inject, it } from 'vitest';
import { batchObject } from '../src/batches/batch-schemas.ts';
import { inputFile, line, lines } from './support/input.ts';
import { startTestApi, type TestApi } from './support/test-api.ts';

interface Answer {
  readonly status: number;
  readonly body: {
    readonly id: string;
    readonly input_file_id: string;
    readonly error?: { readonly message: string };
  };
}

let api: TestApi;
let batches: BatchStore;

beforeAll(async () => {
  api = await startTestApi({ redisUrl: inject('redisUrl') });
  batches = createBatchStore(api.redis, api.keys);
});
afterAll(() => api.close());

const newBatch = async (content = lines(4)): Promise<string> => {
  const file = await api.alice.files.create({ file: await inputFile(content), purpose: 'batch' });
  const request = {
    input_file_id: file.id,
    endpoint: '/v1/chat/completions',
    completion_window: '24h',
    metadata: { run: '7' },
    output_expires_after: { anchor: 'created_at', seconds: 7200 },
    promptmill: { check_schema: true, dedupe: true, cache: '7d' },
  } as const;
  return (await api.alice.batches.create(request)).id;
};

const untilStatus = (id: string, status: string) =>
  expect.poll(() => api.alice.batches.retrieve(id), { timeout: 10_000 }).toMatchObject({ status });

/** A batch of four of which the second and the fourth failed: no worker and no collector runs here. */
const endedBatch = async (): Promise<string> => {
  const id = await newBatch();
  await untilStatus(id, 'in_progress');
  const errorFileId = (await batches.get(id))?.errorFileId ?? '';
  const failures = [1, 3].map((i) =>
    resultLine(
      { batchId: id, index: i, customId: `request-${i}` },
      { kind: 'error', code: i === 1 ? 'request_timeout' : 'conflict', message: '' },
    ),
  );
  await api.files.put(fileKey(errorFileId), `${failures.join('\n')}\n`);
  await batches.transition(id, 'finalizing', Date.now());
  await batches.transition(id, 'completed', Date.now(), { failed: 2, errorPublished: true });
  return id;
};

const retry = async (id: string, body?: unknown, headers: Readonly<Record<string, string>> = {}): Promise<Answer> => {
  const response = await api.request(`/v1/batches/${id}/retry`, {
    method: 'POST',
    headers: { ...(body === undefined ? {} : { 'content-type': 'application/json' }), ...headers },
    ...(body === undefined ? {} : { body: typeof body === 'string' ? body : JSON.stringify(body) }),
  });
  return { status: response.status, body: (await response.json()) as Answer['body'] };
};

const contentOf = async (fileId: string): Promise<string> => text(await api.files.get(fileKey(fileId)));

describe('POST /v1/batches/{batch_id}/retry', () => {
  it('makes a batch of what failed, on the same terms, and links the two', async () => {
    const id = await endedBatch();
    const { status, body } = await retry(id);
    expect([status, batchObject.parse(body)]).toEqual([200, body]);
    expect(body).toMatchObject({
      status: 'validating',
      endpoint: '/v1/chat/completions',
      completion_window: '24h',
      metadata: { run: '7' },
      promptmill: { retry_of: id, check_schema: true, dedupe: true, cache: '7d' },
    });
    expect(await contentOf(body.input_file_id)).toBe(line(1) + line(3));
    expect(await api.alice.files.retrieve(body.input_file_id)).toMatchObject({
      purpose: 'batch',
      filename: `${id}_retry.jsonl`,
    });
    expect(await batches.get(body.id)).toMatchObject({ outputExpiresAfterSeconds: 7200 });
    await untilStatus(body.id, 'in_progress');
    expect(await api.alice.batches.retrieve(id)).toMatchObject({
      status: 'completed',
      promptmill: { retried_by: [body.id] },
    });
  });

  it('may ask each question again', async () => {
    const { body } = await retry(await endedBatch(), { promptmill: { dedupe: false, cache: '1h' } });
    expect(body).toMatchObject({ promptmill: { dedupe: false, cache: '1h' } });
  });

  it('takes a choice, another window and other metadata', async () => {
    const { body } = await retry(await endedBatch(), {
      custom_ids: ['request-0'],
      error_codes: ['conflict'],
      completion_window: '2h',
      metadata: { run: '8' },
    });
    expect(body).toMatchObject({ completion_window: '2h', metadata: { run: '8' } });
    expect(await contentOf(body.input_file_id)).toBe(line(0) + line(3));
    expect((await retry(await endedBatch(), { metadata: null })).body).toMatchObject({ metadata: null });
  });

  it('makes one batch of many with the same Idempotency-Key', async () => {
    const id = await endedBatch();
    const headers = { 'idempotency-key': randomUUID() };
    const answers = await Promise.all(
      Array.from({ length: 20 }, () => retry(id, { error_codes: ['conflict'] }, headers)),
    );
    expect(new Set(answers.map(({ status }) => status))).toEqual(new Set([200]));
    const ids = [...new Set(answers.map(({ body }) => body.id))];
    expect(ids).toHaveLength(1);
    expect(await api.alice.batches.retrieve(id)).toMatchObject({ promptmill: { retried_by: ids } });
    expect((await retry(id, {}, headers)).status).toBe(409);
    expect((await retry(await endedBatch(), { error_codes: ['conflict'] }, headers)).status).toBe(409);
  });

  it('refuses a batch that has not ended', async () => {
    const id = await newBatch();
    await untilStatus(id, 'in_progress');
    const { status, body } = await retry(id);
    expect([status, body.error?.message]).toEqual([
      409,
      "Cannot retry a batch with status 'in_progress'. Wait for its end, or cancel it.",
    ]);
  });

  it('refuses a batch that failed: none of its requests was run', async () => {
    const id = await newBatch('\n');
    await untilStatus(id, 'failed');
    expect(await retry(id)).toMatchObject({
      status: 409,
      body: { error: { message: "Cannot retry a batch with status 'failed': none of its requests was run." } },
    });
  });

  it.each([
    ['an unknown id', { custom_ids: ['request-9'] }, 'unknown_custom_id', 'custom_ids'],
    ['a code that nothing failed with', { error_codes: ['503'] }, 'nothing_to_retry', 'error_codes'],
    ['an empty choice', { custom_ids: [] }, 'array_below_min_length', 'custom_ids'],
    ['a number as code', { error_codes: [503] }, 'invalid_type', 'error_codes[0]'],
    ['many codes', { error_codes: Array.from({ length: 101 }, String) }, 'array_above_max_length', 'error_codes'],
    ['a long code', { error_codes: ['x'.repeat(65)] }, 'string_above_max_length', 'error_codes[0]'],
    ['many custom_ids', { custom_ids: Array.from({ length: 10_001 }, String) }, 'array_above_max_length', 'custom_ids'],
    ['a long custom_id', { custom_ids: ['x'.repeat(513)] }, 'string_above_max_length', 'custom_ids[0]'],
    ['a strange window', { completion_window: '5s' }, 'invalid_value', 'completion_window'],
    ['an unknown key', { colour: 'red' }, 'unknown_parameter', 'colour'],
  ])('refuses %s, and stores nothing', async (_, choice, code, param) => {
    const id = await endedBatch();
    // Dispatch, which goes on, writes there.
    const stored = async () => (await api.stored()).filter((key) => !key.startsWith('scratch/'));
    const before = await stored();
    expect(await retry(id, choice)).toMatchObject({ status: 400, body: { error: { code, param } } });
    expect(await stored()).toEqual(before);
    expect(await api.alice.batches.retrieve(id)).toMatchObject({ promptmill: { retried_by: [] } });
  });

  it('refuses a choice that was sent as text', async () => {
    const id = await endedBatch();
    const { status } = await retry(id, '{"custom_ids":["request-1"]}', { 'content-type': 'text/plain' });
    expect(status).toBe(400);
  });

  it('says that the input is gone', async () => {
    const id = await endedBatch();
    await api.alice.files.delete((await api.alice.batches.retrieve(id)).input_file_id);
    expect(await retry(id)).toMatchObject({ status: 400, body: { error: { code: 'file_not_found' } } });
  });
});
