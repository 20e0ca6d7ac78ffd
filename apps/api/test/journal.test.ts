import {
  createBatchStore,
  createClaims,
  createFileRecords,
  createUploadRecords,
  openBatchesQueue,
} from '@promptmill/queue';
import { createLogger } from '@promptmill/runtime';
import { toFile } from 'openai';
import { afterAll, beforeAll, expect, inject, test } from 'vitest';
import { lookTwice } from '../src/journal/look-twice.ts';
import { createReplayJournal } from '../src/journal/replay-journal.ts';
import { deleteKeys } from '../../../tests/support/redis-keys.ts';
import { startTestApi, type TestApi } from './support/test-api.ts';

let api: TestApi;
let batchesQueue: ReturnType<typeof openBatchesQueue>;

beforeAll(async () => {
  const configFile = 'providers: { simulator: { models: { echo: { prices: { input: 1, output: 1 } } } } }';
  api = await startTestApi({ redisUrl: inject('redisUrl'), configFile });
  batchesQueue = openBatchesQueue(api.redis, api.keys);
});
afterAll(async () => {
  await batchesQueue.close();
  await api.close();
});

const input = `${JSON.stringify({
  custom_id: 'a',
  method: 'POST',
  url: '/v1/chat/completions',
  body: { model: 'simulator/echo', messages: [{ role: 'user', content: 'hi' }] },
})}\n`;

const upload = async () =>
  api.alice.files.create({ file: await toFile(Buffer.from(input), 'a.jsonl'), purpose: 'batch' });

const replay = (now: () => number = Date.now): Promise<void> =>
  createReplayJournal({
    files: api.files,
    records: createFileRecords(api.redis, api.keys),
    uploads: createUploadRecords(api.redis, api.keys),
    batches: createBatchStore(api.redis, api.keys),
    batchesQueue,
    claims: createClaims(api.redis, api.keys, 'batch'),
    logger: createLogger({ level: 'silent', role: 'api' }),
    now,
  })();

const noted = async (): Promise<string[]> => (await api.stored()).filter((key) => key.startsWith('journal/'));

test('acknowledged files and batches are restored after Redis has lost them, and deleted ones are not', async () => {
  const file = await upload();
  const deleted = await upload();
  await api.alice.files.delete(deleted.id);
  const create = () =>
    api.alice.batches.create(
      { input_file_id: file.id, endpoint: '/v1/chat/completions', completion_window: '24h', metadata: { run: '7' } },
      { headers: { 'Idempotency-Key': 'once' } },
    );
  const created = await create();
  await deleteKeys(api.redis, api.prefix);
  await expect(api.alice.batches.retrieve(created.id)).rejects.toMatchObject({ status: 404 });
  await replay();
  expect(await api.alice.files.retrieve(file.id)).toEqual(file);
  await expect(api.alice.files.retrieve(deleted.id)).rejects.toMatchObject({ status: 404 });
  expect((await create()).id).toBe(created.id);
  const restored = await api.alice.batches.retrieve(created.id);
  expect(restored).toMatchObject({ metadata: { run: '7' }, input_file_id: file.id, created_at: created.created_at });
  // It has a job: what serves it may not have begun yet.
  await expect.poll(async () => (await api.alice.batches.retrieve(created.id)).status).toBe('in_progress');
});

test('a batch that Redis has lost is cancelled, paused or resumed again as its owner last asked', async () => {
  const create = async (): Promise<string> => {
    const { id } = await upload();
    const batch = { input_file_id: id, endpoint: '/v1/chat/completions', completion_window: '24h' } as const;
    return (await api.alice.batches.create(batch)).id;
  };
  const [cancelled, paused, resumed] = [await create(), await create(), await create()];
  await api.alice.batches.cancel(cancelled);
  for (const id of [paused, resumed]) await api.alice.post(`/batches/${id}/pause`);
  await api.alice.post(`/batches/${resumed}/resume`, { body: { max_cost: 3 } });
  await deleteKeys(api.redis, api.prefix);
  await replay();
  // A cancelled batch may have come to its end by now.
  expect((await api.alice.batches.retrieve(cancelled)).cancelling_at).toBeTypeOf('number');
  const isPaused = { promptmill: { paused_at: expect.any(Number) } };
  expect(await api.alice.batches.retrieve(paused)).toMatchObject(isPaused);
  expect(await api.alice.batches.retrieve(resumed)).not.toMatchObject(isPaused);
  expect(await api.alice.batches.retrieve(resumed)).toMatchObject({ promptmill: { max_cost: 3 } });
  await api.alice.post(`/batches/${paused}/resume`);
  await replay();
  expect(await api.alice.batches.retrieve(paused)).not.toMatchObject(isPaused);
});

test('a batch gets its job again when Redis has its record, which was written first, and not its job', async () => {
  const { id: fileId } = await upload();
  const batch = { input_file_id: fileId, endpoint: '/v1/chat/completions', completion_window: '24h' } as const;
  const { id } = await api.alice.batches.create(batch);
  await deleteKeys(api.redis, api.keys.queuePrefix('batches'));
  await api.redis.expire(api.keys.batch(id), 600);
  await replay();
  expect(await batchesQueue.getJob(id)).toBeDefined();
  expect(await api.redis.ttl(api.keys.batch(id))).toBe(-1);
});

test('a replay changes nothing that is there, and deletes old notes', async () => {
  const file = await upload();
  await replay();
  expect(await api.alice.files.retrieve(file.id)).toEqual(file);
  expect((await noted()).some((key) => key.endsWith(file.id))).toBe(true);
  await replay(() => Date.now() + 3 * 3_600_000);
  expect(await noted()).toEqual([]);
});

test('a batch that is just being restored is found', async () => {
  const file = await upload();
  await deleteKeys(api.redis, api.prefix);
  const records = createFileRecords(api.redis, api.keys);
  const look = () => records.get('alice', file.id);
  const replaying = replay();
  expect(await lookTwice(look, () => replaying)).toMatchObject({ id: file.id });
  expect(await lookTwice(async () => undefined, replay)).toBeUndefined();
});
