import { randomUUID } from 'node:crypto';
import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { closeRedis, connectRedis, createKeys, type RedisConnection } from '@promptmill/queue';
import OpenAI, { toFile } from 'openai';
import { afterAll, beforeAll, expect, inject, it } from 'vitest';
import { checkBatch, createBatch, inputOf, untilBatch } from '../support/batches.ts';
import { findKeys } from '../support/redis-keys.ts';
import { type Stack, startStack } from '../support/stack.ts';

const keepDays = 2;

let stack: Stack;
let redis: RedisConnection;
/** The URL of the api that replaced the killed one. */
let url: string;

beforeAll(async () => {
  redis = connectRedis({ url: inject('redisUrl'), whileAway: 'wait', onError: () => {} });
  stack = await startStack({ redisUrl: inject('redisUrl'), env: { PROMPTMILL_KEEP_DAYS: String(keepDays) } });
});
afterAll(async () => {
  await stack.stop();
  await closeRedis(redis);
});

const clientOf = (url: string) => new OpenAI({ baseURL: `${url}/v1`, apiKey: 'none', maxRetries: 0 });

/** The names of keys and stored files, without the journal, which forgets an entry after two hours. */
const traces = async (id: string): Promise<string[]> => {
  const stored = await readdir(join(stack.directory, 'data/store'), { recursive: true });
  const names = [...(await findKeys(redis, `${stack.prefix}:*`)), ...stored];
  return names.filter((name) => name.includes(id) && !name.startsWith('journal'));
};

it('repeated calls under one key make one file and one batch, also when the api is killed', async () => {
  const headers = { 'Idempotency-Key': randomUUID() };
  const input = inputOf(20);
  const create = async (url: string) => {
    const client = clientOf(url);
    const upload = { file: await toFile(Buffer.from(input), 'input.jsonl'), purpose: 'batch' } as const;
    const file = await client.files.create(upload, { headers });
    const body = { input_file_id: file.id, endpoint: '/v1/chat/completions', completion_window: '24h' } as const;
    return { file, batch: await client.batches.create(body, { headers }) };
  };
  const dying = Array.from({ length: 25 }, () => create(stack.api.url).catch(() => undefined));
  await Promise.race(dying);
  await stack.api.stop('SIGKILL');
  const before = (await Promise.all(dying)).filter((made) => made !== undefined);

  ({ url } = await stack.start('api'));
  const after = await Promise.all(Array.from({ length: 25 }, () => create(url)));
  const [{ file, batch } = { file: { id: '' }, batch: { id: '' } }] = after;
  for (const made of [...before, ...after]) {
    expect(made.file).toEqual(after[0]?.file);
    expect(made.batch.id).toBe(batch.id);
  }
  const client = clientOf(url);
  expect((await client.files.list({ purpose: 'batch' })).data.map(({ id }) => id)).toEqual([file.id]);
  expect((await client.batches.list()).data.map(({ id }) => id)).toEqual([batch.id]);
  await checkBatch({ ...stack, client }, await untilBatch(client, batch.id), input);
});

it('a batch is kept for PROMPTMILL_KEEP_DAYS after its end, and then leaves no key and no file', async () => {
  const client = clientOf(url);
  const prompts = ['fine', '[[sim:status=400]]', 'also fine'];
  const { id } = await createBatch(
    client,
    inputOf(prompts.length, (i) => prompts[i] ?? ''),
  );
  const { completed_at: completedAt = 0, ...batch } = await untilBatch(client, id);
  const ids = [id, batch.output_file_id ?? '', batch.error_file_id ?? ''];
  for (const made of ids) expect(await traces(made)).not.toEqual([]);

  const { due } = createKeys(stack.prefix);
  const keptUntilMs = (completedAt + keepDays * 86_400) * 1000;
  await expect.poll(() => redis.zscore(due, `batch ${id}`), { timeout: 10_000 }).toBe(String(keptUntilMs));
  // The batch's time is over from now on.
  await redis.zadd(due, Date.now(), `batch ${id}`);
  await stack.start('api');
  await expect.poll(() => redis.zscore(due, `batch ${id}`), { timeout: 10_000 }).toBeNull();
  for (const made of ids) expect(await traces(made)).toEqual([]);
  await expect(client.batches.retrieve(id)).rejects.toMatchObject({ status: 404 });
  expect((await client.files.retrieve(batch.input_file_id)).id).toBe(batch.input_file_id);
});
