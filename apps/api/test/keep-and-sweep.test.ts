import { setTimeout as delay } from 'node:timers/promises';
import { fileKey, newBatchId, newFileId, noUsage, resultLine, segmentFolder } from '@promptmill/core';
import {
  createBatchStore,
  createDeliveries,
  createDueIndex,
  createFileRecords,
  createResultRecorder,
  createUploadRecords,
  openBatchesQueue,
  openLaneQueue,
} from '@promptmill/queue';
import { createLogger, loadConfig } from '@promptmill/runtime';
import type { APIError } from 'openai';
import { afterAll, beforeAll, describe, expect, inject, it } from 'vitest';
import { createSweep } from '../src/sweep/create-sweep.ts';
import { inputFile, lines } from './support/input.ts';
import { findKeys } from '../../../tests/support/redis-keys.ts';
import { startTestApi, type TestApi } from './support/test-api.ts';

const daySeconds = 86_400;
const keepDays = 3;
const chat = { endpoint: '/v1/chat/completions', completion_window: '24h' } as const;

let api: TestApi;
let batches: ReturnType<typeof createBatchStore>;
let records: ReturnType<typeof createFileRecords>;
let batchesQueue: ReturnType<typeof openBatchesQueue>;

beforeAll(async () => {
  api = await startTestApi({
    redisUrl: inject('redisUrl'),
    env: { PROMPTMILL_KEEP_DAYS: String(keepDays) },
    // No webhook is called.
    resolveHost: async () => [],
  });
  batches = createBatchStore(api.redis, api.keys);
  records = createFileRecords(api.redis, api.keys);
  batchesQueue = openBatchesQueue(api.redis, api.keys);
});
afterAll(async () => {
  await batchesQueue.close();
  await api.close();
});

/** What an api does once a minute, as if this time had passed. */
const sweepIn = async (seconds: number, files = api.files): Promise<void> => {
  const sweep = createSweep({
    lanes: loadConfig({ SIMULATOR_BASE_URL: 'http://127.0.0.1:8089/v1' }, { readFile: () => '' }).lanes,
    redis: api.redis,
    keys: api.keys,
    files,
    records,
    uploads: createUploadRecords(api.redis, api.keys),
    batches,
    deliveries: createDeliveries(api.redis, api.keys),
    due: createDueIndex(api.redis, api.keys),
    batchesQueue,
    logger: createLogger({ level: 'silent', role: 'api' }),
    now: () => Date.now() + seconds * 1000,
  });
  await sweep.run();
  await sweep.close();
};

const upload = async (expiresAfterSeconds?: number) =>
  api.alice.files.create({
    file: await inputFile(lines(3)),
    purpose: 'batch',
    ...(expiresAfterSeconds ? { expires_after: { anchor: 'created_at', seconds: expiresAfterSeconds } } : {}),
  });

const runningBatch = async (input_file_id: string) => {
  const more = { promptmill: { webhook_url: 'https://example.com/' } };
  const { id } = await api.alice.batches.create({ ...chat, input_file_id, ...more });
  await expect.poll(() => api.alice.batches.retrieve(id), { timeout: 10_000 }).toMatchObject({ status: 'in_progress' });
  return id;
};

/** What workers and a collector do: a result for each request, a segment, an output and an error file. */
const complete = async (id: string): Promise<void> => {
  const batch = await batches.get(id);
  if (!batch) throw new Error('no batch');
  const recorder = createResultRecorder(api.redis, api.keys);
  const line = resultLine({ batchId: id, index: 0, customId: 'request-0' }, { kind: 'error', code: 'c', message: 'm' });
  for (let index = 0; index < batch.total; index++)
    await recorder.record({ batchId: id, index, bytes: 10 }, 'completed', line, noUsage);
  await api.files.put(`${segmentFolder(id)}0-2-a`, 'segment');
  await api.redis.rpush(api.keys.segments(id), '0-2-a');
  for (const fileId of [batch.outputFileId, batch.errorFileId]) {
    const { bytes } = await api.files.put(fileKey(fileId), `${line}\n`);
    const createdAt = Math.floor(Date.now() / 1000);
    const purpose = 'batch_output';
    await records.put({ id: fileId, tenant: 'alice', filename: 'out.jsonl', purpose, bytes, createdAt });
  }
  await batches.transition(id, 'finalizing', Date.now());
  await batches.transition(id, 'completed', Date.now(), { outputPublished: true, errorPublished: true });
  await expect.poll(async () => (await batchesQueue.getJob(id))?.getState(), { timeout: 10_000 }).toBe('completed');
};

const redisNames = (): Promise<string[]> => findKeys(api.redis, `${api.prefix}:*`);
const traces = async (id: string): Promise<string[]> =>
  [...(await redisNames()), ...(await api.stored())].filter(
    (name) => name.includes(id) && !name.startsWith('journal/'),
  );

describe('deleting a file that a batch needs', () => {
  it('is refused, with the name of the batch, until the batch has ended', async () => {
    const file = await upload();
    const id = await runningBatch(file.id);
    await expect(api.alice.files.delete(file.id)).rejects.toMatchObject({
      status: 409,
      code: 'file_in_use',
      message: expect.stringContaining(id),
    });
    expect((await api.alice.files.retrieve(file.id)).id).toBe(file.id);
    await complete(id);
    expect(await api.alice.files.delete(file.id)).toMatchObject({ deleted: true });
    expect(await traces(file.id)).toEqual([]);
  });

  it('while the batch is created: either the file stays or there is no batch', async () => {
    for (let round = 0; round < 10; round++) {
      const { id: input_file_id } = await upload();
      const create = api.alice.batches.create({ ...chat, input_file_id });
      const outcomes = await Promise.all([
        create.then(
          () => 'created',
          ({ status, code, param }: APIError) => `${status} ${code} ${param}`,
        ),
        // So that it comes at each step of the creation.
        delay(round)
          .then(() => api.alice.files.delete(input_file_id))
          .then(
            () => 'deleted',
            ({ status, code }: APIError) => `${status} ${code}`,
          ),
      ]);
      expect([
        ['created', '409 file_in_use'],
        ['400 file_not_found input_file_id', 'deleted'],
      ]).toContainEqual(outcomes);
      const left = await api.alice.files.retrieve(input_file_id).then(
        () => 'created',
        () => 'deleted',
      );
      expect(outcomes).toContain(left);
    }
  });

  it('is not refused for ever after a creation that died, or a batch whose job died before it released the file', async () => {
    const { id } = await upload();
    const hourAgoMs = Date.now() - 3_601_000;
    await records.use('alice', id, { batchId: newBatchId(), requests: 1 }, hourAgoMs);
    const ended = await runningBatch((await upload()).id);
    await complete(ended);
    await records.use('alice', id, { batchId: ended, requests: 1 }, Date.now());
    expect(await api.alice.files.delete(id)).toMatchObject({ deleted: true });
  });
});

describe('a file that has expired', () => {
  it('is removed: record, bytes and list entry', async () => {
    const [short, long] = [await upload(3600), await upload(7200)];
    await sweepIn(3590);
    expect((await api.alice.files.retrieve(short.id)).id).toBe(short.id);
    await sweepIn(3601);
    expect(await traces(short.id)).toEqual([]);
    await expect(api.alice.files.retrieve(short.id)).rejects.toMatchObject({ status: 404 });
    const listed = (await api.alice.files.list()).data.map(({ id }) => id);
    expect(listed).toContain(long.id);
    expect(listed).not.toContain(short.id);
    // A listing that had come to it goes on.
    await expect(api.alice.files.list({ after: short.id })).resolves.toBeDefined();
  });

  it('is not removed before the batch that needs it has ended', async () => {
    const file = await upload(3600);
    const id = await runningBatch(file.id);
    await sweepIn(3601);
    expect((await api.alice.files.retrieve(file.id)).id).toBe(file.id);
    await complete(id);
    await sweepIn(3601 + 300);
    expect(await traces(file.id)).toEqual([]);
  });
});

it('removes the bytes of an upload that died before its record was written', async () => {
  const file = await upload();
  await api.redis.del(api.keys.file('alice', file.id));
  const due = createDueIndex(api.redis, api.keys);
  await due.set({ kind: 'file', tenant: 'alice', id: file.id }, Date.now() + 1000);
  await sweepIn(2);
  expect(await api.stored()).not.toContain(fileKey(file.id));
});

it('removes the parts of an upload that has expired, and a day later all that is left of it', async () => {
  const uploads = createUploadRecords(api.redis, api.keys);
  const before = (await records.used('alice')).storedBytes;
  const { id } = await api.alice.uploads.create({
    bytes: 10,
    filename: 'a.jsonl',
    mime_type: 'application/jsonl',
    purpose: 'batch',
  });
  await api.alice.uploads.parts.create(id, { data: await inputFile(lines(3)) });
  const parts = async () => (await traces(id)).filter((name) => name.startsWith('uploads/'));
  await sweepIn(3590);
  expect(await parts()).toHaveLength(1);
  // A part that arrives late, or a completion under way.
  const completion = { fileId: newFileId(), partsHash: 'x' };
  await uploads.beginCompletion('alice', id, completion);
  await api.redis.hset(api.keys.upload('alice', id), 'until', Date.now() + 4_000_000);
  await sweepIn(3661);
  expect(await parts()).toHaveLength(1);
  await sweepIn(3661 + 400);
  expect(await parts()).toEqual([]);
  expect((await records.used('alice')).storedBytes).toBe(before);
  await api.files.put(`uploads/${id}/part_late`, 'late');
  await sweepIn(3661 + 400 + daySeconds);
  expect(await traces(id)).toEqual([]);
  await expect(api.alice.uploads.cancel(id)).rejects.toMatchObject({ status: 404 });
});

describe('a batch that has ended', () => {
  it('is kept for its time, then leaves no key and no file', async () => {
    const input = await upload(30 * daySeconds);
    const id = await runningBatch(input.id);
    const { outputFileId = '', errorFileId = '' } = (await batches.get(id)) ?? {};
    // No worker has taken them.
    const lane = openLaneQueue(api.redis, api.keys, 'simulator');
    expect(await lane.getJobCountByTypes('prioritized')).toBeGreaterThanOrEqual(3);
    await complete(id);
    await api.files.put(`scratch/${id}/0/x`, 'left by a collector that was killed');

    await sweepIn(keepDays * daySeconds - 10);
    expect((await api.alice.batches.retrieve(id)).status).toBe('completed');
    expect(await (await api.alice.files.content(outputFileId)).text()).not.toBe('');

    await Promise.all([sweepIn(keepDays * daySeconds + 1), sweepIn(keepDays * daySeconds + 1)]);
    for (const gone of [id, outputFileId, errorFileId]) expect(await traces(gone)).toEqual([]);
    await expect(api.alice.batches.retrieve(id)).rejects.toMatchObject({ status: 404 });
    const listed = await Array.fromAsync(api.alice.batches.list({ limit: 100 }), (batch) => batch.id);
    expect(listed).not.toContain(id);
    expect((await api.alice.files.retrieve(input.id)).id).toBe(input.id);
    expect(await api.redis.zscore(api.keys.due, `batch ${id}`)).toBeNull();
    await lane.close();
  });

  it('is removed by the next sweep after one that was cut off', async () => {
    const id = await runningBatch((await upload()).id);
    await complete(id);
    const { outputFileId = '', errorFileId = '' } = (await batches.get(id)) ?? {};
    const keptSeconds = keepDays * daySeconds + 1;
    const broken = new Error('the disk is away');
    const stores: (typeof api.files)[] = [
      { ...api.files, delete: () => Promise.reject(broken) },
      { ...api.files, deletePrefix: () => Promise.reject(broken) },
    ];
    for (const [i, store] of stores.entries()) {
      await sweepIn(keptSeconds + i * 300, store);
      expect((await api.alice.batches.retrieve(id)).status).toBe('completed');
    }
    await sweepIn(keptSeconds + stores.length * 300);
    for (const gone of [id, outputFileId, errorFileId]) expect(await traces(gone)).toEqual([]);
  });

  it('takes its output along though that would expire later, and nothing of a batch that has not ended', async () => {
    const running = await runningBatch((await upload(30 * daySeconds)).id);
    const due = createDueIndex(api.redis, api.keys);
    await due.set({ kind: 'batch', id: running }, Date.now());
    const ended = await runningBatch((await upload(30 * daySeconds)).id);
    await complete(ended);
    const { outputFileId = '' } = (await batches.get(ended)) ?? {};
    const output = await records.get('alice', outputFileId);
    if (!output) throw new Error('no output');
    await records.put({ ...output, expiresAt: output.createdAt + 300 * daySeconds });
    await sweepIn(keepDays * daySeconds + 1);
    expect(await traces(outputFileId)).toEqual([]);
    expect((await api.alice.batches.retrieve(running)).status).toBe('in_progress');
  });
});

it('removes the answers of an hour when all of them were kept for long enough', async () => {
  const due = createDueIndex(api.redis, api.keys);
  const nowMs = Date.now();
  await api.files.put('answers/2026-01-01T10/x', 'answers');
  await api.files.put('answers/2026-01-01T11/x', 'answers');
  await due.extend({ kind: 'answers', id: '2026-01-01T10' }, nowMs + 1000);
  await due.extend({ kind: 'answers', id: '2026-01-01T11' }, nowMs + 9000);
  await due.extend({ kind: 'answers', id: '2026-01-01T11' }, nowMs + 1000);
  await sweepIn(5);
  expect((await api.stored()).filter((key) => key.startsWith('answers/'))).toEqual(['answers/2026-01-01T11/x']);
  await sweepIn(10);
  expect((await api.stored()).filter((key) => key.startsWith('answers/'))).toEqual([]);
  expect(await api.redis.zscore(api.keys.due, 'answers 2026-01-01T11')).toBeNull();
});

it('goes on after an entry that cannot be removed now', async () => {
  const due = createDueIndex(api.redis, api.keys);
  // No store has a file of that name.
  await due.set({ kind: 'file', tenant: 'alice', id: '../etc' }, 0);
  const file = await upload(3600);
  await sweepIn(3601);
  expect(await traces(file.id)).toEqual([]);
  await due.remove({ kind: 'file', tenant: 'alice', id: '../etc' });
  expect(await traces(newFileId())).toEqual([]);
});
