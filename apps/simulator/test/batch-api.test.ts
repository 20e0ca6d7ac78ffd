import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import OpenAI, { APIConnectionError, toFile } from 'openai';
import { expect, onTestFinished, test, vi } from 'vitest';
import type { BatchRules } from '../src/index.ts';
import { startForTest } from './start-for-test.ts';
import { startProcess } from './start-process.ts';

const endpoint = '/v1/chat/completions';

const lineOf = (customId: string, prompt = `Say ${customId}`, model = 'echo'): string =>
  JSON.stringify({
    custom_id: customId,
    method: 'POST',
    url: endpoint,
    body: { model, messages: [{ role: 'user', content: prompt }] },
  });
const linesOf = (count: number): string[] => Array.from({ length: count }, (_, i) => lineOf(`r${i}`));

const clientOf = ({ url }: { readonly url: string }): OpenAI =>
  new OpenAI({ baseURL: url, apiKey: 'none', maxRetries: 0 });

const uploadTo = async ({ files }: OpenAI, lines: readonly string[]): Promise<OpenAI.FileObject> =>
  files.create({
    file: await toFile(Buffer.from(lines.map((line) => `${line}\n`).join('')), 'a.jsonl'),
    purpose: 'batch',
  });

const terms = { endpoint, completion_window: '24h' } as const;

/** A simulator with these rules, and its client. */
const start = async (batchApi: Partial<BatchRules> = {}) => {
  const simulator = await startForTest({ batchApi });
  const client = clientOf(simulator);
  const create = async (lines: readonly string[]): Promise<OpenAI.Batch> => {
    const { id } = await uploadTo(client, lines);
    return client.batches.create({ ...terms, input_file_id: id });
  };
  return { simulator, client, create };
};

const untilStatus = (client: OpenAI, id: string, status: OpenAI.Batch['status']): Promise<OpenAI.Batch> =>
  vi.waitFor(
    async () => {
      const batch = await client.batches.retrieve(id);
      if (batch.status !== status) throw new Error(`the batch is ${JSON.stringify(batch)}`);
      return batch;
    },
    { interval: 5, timeout: 20_000 },
  );

const untilAnswered = (client: OpenAI, id: string, lines: number): Promise<void> =>
  expect
    .poll(async () => (await client.batches.retrieve(id)).request_counts?.completed, { interval: 5, timeout: 20_000 })
    .toBe(lines);

interface ResultLine {
  readonly id: string;
  readonly custom_id: string;
  readonly response: { readonly status_code: number; readonly body: OpenAI.ChatCompletion } | null;
  readonly error: { readonly code: string } | null;
}

const linesIn = async ({ files }: OpenAI, fileId: string | null | undefined): Promise<ResultLine[]> => {
  const text = await (await files.content(fileId ?? '')).text();
  return text
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line) as ResultLine);
};

const number = expect.any(Number) as number;

test('a batch is answered out of order, billed at half, and lists only what failed in its error file', async () => {
  const { simulator, client, create } = await start();
  const lines = [...linesOf(200), lineOf('bad', '[[sim:status=400]]'), lineOf('lost', '[[sim:fault=hang]]')];
  const created = await create(lines);
  expect(created).toMatchObject({
    id: expect.stringMatching(/^batch_/) as string,
    object: 'batch',
    status: 'validating',
    output_file_id: null,
    expires_at: created.created_at + 86_400,
  });
  const batch = await untilStatus(client, created.id, 'completed');
  expect(batch).toMatchObject({
    model: 'echo',
    errors: null,
    request_counts: { total: 202, completed: 200, failed: 2 },
    in_progress_at: number,
    finalizing_at: number,
    completed_at: number,
    cancelled_at: null,
  });
  const output = await linesIn(client, batch.output_file_id);
  const ids = output.map(({ custom_id }) => custom_id);
  expect(ids).not.toEqual(linesOf(200).map((_, i) => `r${i}`));
  expect(new Set(ids).size).toBe(200);
  for (const { custom_id, response } of output)
    expect(response?.body.choices[0]?.message.content).toBe(`Say ${custom_id}`);
  const errors = await linesIn(client, batch.error_file_id);
  expect(errors).toEqual(
    expect.arrayContaining([
      expect.objectContaining({
        custom_id: 'bad',
        error: null,
        response: expect.objectContaining({ status_code: 400 }),
      }),
      expect.objectContaining({
        custom_id: 'lost',
        response: null,
        error: expect.objectContaining({ code: 'request_timeout' }),
      }),
    ]),
  );
  const log = await simulator.readLog(202);
  expect(log[0]?.batch).toMatchObject({ id: batch.id, priceShare: 0.5 });
  expect(log.reduce((sum, { tokens }) => sum + tokens, 0)).toBe(batch.usage?.total_tokens);
});

test.each<[what: string, lines: string[], rules: Partial<BatchRules>, code: string]>([
  ['no line', [], {}, 'empty_file'],
  ['a custom_id twice', [lineOf('a'), lineOf('a')], {}, 'duplicate_custom_id'],
  ['two models', [lineOf('a'), lineOf('b', 'Hi', 'large')], {}, 'model_mismatch'],
  ['no JSON', ['{'], {}, 'invalid_json_line'],
  ['another endpoint', [lineOf('a').replace(endpoint, '/v1/responses')], {}, 'url_mismatch'],
  ['too many lines', linesOf(4), { maxLines: 3 }, 'too_many_tasks'],
  ['too many bytes', linesOf(4), { maxBytes: 100 }, 'invalid_file_size'],
  ['too many tokens', linesOf(4), { maxEnqueuedTokens: 10 }, 'token_limit_exceeded'],
])('a batch of %s fails', async (_what, lines, rules, code) => {
  const { client, create } = await start(rules);
  const { id } = await create(lines);
  const batch = await untilStatus(client, id, 'failed');
  expect(batch.errors?.data?.[0]).toMatchObject({ code, message: expect.any(String) as string });
  expect(batch).toMatchObject({ output_file_id: null, error_file_id: null, request_counts: { total: 0 } });
});

test('the enqueued tokens are those of all batches of a model, until they end', async () => {
  const { simulator, client, create } = await start({ maxEnqueuedTokens: 120, answeredShare: 0 });
  const first = await create(linesOf(4));
  await untilStatus(client, first.id, 'in_progress');
  const second = await create(linesOf(4));
  expect((await untilStatus(client, second.id, 'failed')).errors?.data?.[0]?.code).toBe('token_limit_exceeded');
  simulator.configure({ batchApi: { maxEnqueuedTokens: 120 } });
  await untilStatus(client, first.id, 'completed');
  await untilStatus(client, (await create(linesOf(4))).id, 'completed');
});

test('a batch that expires has what was answered, and an error line for each other', async () => {
  const { simulator, client, create } = await start({ answeredShare: 0.5 });
  const { id } = await create(linesOf(10));
  await untilAnswered(client, id, 5);
  simulator.configure({ batchApi: { windowMs: 0 } });
  const batch = await untilStatus(client, id, 'expired');
  expect(batch).toMatchObject({ request_counts: { total: 10, completed: 5, failed: 5 }, expired_at: number });
  expect(await linesIn(client, batch.output_file_id)).toHaveLength(5);
  const errors = await linesIn(client, batch.error_file_id);
  expect(errors.map(({ error }) => error?.code)).toEqual(Array(5).fill('batch_expired'));
});

test('a batch that is cancelled has what was answered', async () => {
  const { client, create } = await start({ answeredShare: 0.5, cancellingMs: 20 });
  const { id } = await create(linesOf(10));
  await untilAnswered(client, id, 5);
  expect(await client.batches.cancel(id)).toMatchObject({ status: 'cancelling', output_file_id: null });
  const batch = await untilStatus(client, id, 'cancelled');
  expect(batch).toMatchObject({ request_counts: { total: 10, completed: 5, failed: 0 }, error_file_id: null });
  expect(await linesIn(client, batch.output_file_id)).toHaveLength(5);
  await expect(client.batches.cancel(id)).rejects.toMatchObject({ status: 400 });
});

test('nothing can be read before the end, however long each step takes', async () => {
  const { simulator, client, create } = await start({ validatingMs: 60_000 });
  const { id } = await create(linesOf(3));
  expect(await client.batches.retrieve(id)).toMatchObject({ status: 'validating', request_counts: { total: 0 } });
  simulator.configure({ batchApi: { processingMs: 60_000 } });
  expect(await untilStatus(client, id, 'in_progress')).toMatchObject({ request_counts: { total: 3 } });
  simulator.configure({ batchApi: { finalizingMs: 60_000 } });
  const finalizing = await untilStatus(client, id, 'finalizing');
  expect(finalizing).toMatchObject({ request_counts: { completed: 3 }, output_file_id: null });
  simulator.configure({ batchApi: {} });
  expect((await untilStatus(client, id, 'completed')).output_file_id).toMatch(/^file-/);
});

test('files are listed, read and deleted; batches are listed page by page, newest first', async () => {
  const { client, create } = await start();
  const uploaded = await uploadTo(client, linesOf(2));
  expect(uploaded).toMatchObject({ object: 'file', purpose: 'batch', filename: 'a.jsonl', status: 'processed' });
  expect(await client.files.retrieve(uploaded.id)).toEqual(uploaded);
  expect(await (await client.files.content(uploaded.id)).text()).toBe(`${linesOf(2).join('\n')}\n`);
  expect((await client.files.list({ purpose: 'batch' })).data).toEqual([uploaded]);
  expect(await client.files.delete(uploaded.id)).toEqual({ id: uploaded.id, object: 'file', deleted: true });
  await expect(client.files.retrieve(uploaded.id)).rejects.toMatchObject({ status: 404 });

  const created: string[] = [];
  for (let i = 0; i < 5; i++) created.push((await create(linesOf(1))).id);
  expect(await client.batches.list({ limit: 2 })).toMatchObject({ has_more: true, data: { length: 2 } });
  const listed: string[] = [];
  for await (const { id } of client.batches.list({ limit: 2 })) listed.push(id);
  expect(listed).toEqual(created.toReversed());
});

test('what OpenAI refuses is refused', async () => {
  const { client } = await start();
  const { id } = await uploadTo(client, linesOf(1));
  const file = await toFile(Buffer.from('x'), 'a.txt');
  await expect(client.files.create({ file, purpose: 'assistants' })).rejects.toMatchObject({ param: 'purpose' });
  const create = (change: object) => client.batches.create({ ...terms, input_file_id: id, ...change });
  await expect(create({ input_file_id: 'file-none' })).rejects.toMatchObject({ status: 400, param: 'input_file_id' });
  await expect(create({ endpoint: '/v1/none' })).rejects.toMatchObject({ status: 400, param: 'endpoint' });
  await expect(create({ completion_window: '1h' })).rejects.toMatchObject({ status: 400, param: 'completion_window' });
  await expect(create({ metadata: { a: 'x'.repeat(513) } })).rejects.toMatchObject({ status: 400, param: 'metadata' });
  await expect(client.batches.retrieve('batch_none')).rejects.toMatchObject({ status: 404 });
});

test('the answer to a creation may get lost, and what it made is there', async () => {
  const { simulator, client } = await start();
  const { id } = await uploadTo(client, linesOf(1));
  simulator.configure({ batchApi: { lostAnswers: 1 } });
  const metadata = { shard: 'one' };
  await expect(client.batches.create({ ...terms, input_file_id: id, metadata })).rejects.toThrow(APIConnectionError);
  expect((await client.batches.list()).data).toMatchObject([{ input_file_id: id, metadata }]);
});

test('a simulator that was killed goes on with its batches', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'simulator-state-'));
  onTestFinished(() => rm(folder, { recursive: true }));
  const first = await startProcess({ SIMULATOR_STATE_DIR: folder, SIMULATOR_BATCH_ANSWERED_SHARE: '0.5' });
  const client = clientOf(first);
  const file = await uploadTo(client, linesOf(10));
  const { id } = await client.batches.create({ ...terms, input_file_id: file.id });
  await untilAnswered(client, id, 5);
  first.child.kill('SIGKILL');
  await once(first.child, 'exit');

  const again = clientOf(await startProcess({ SIMULATOR_STATE_DIR: folder }));
  const batch = await untilStatus(again, id, 'completed');
  expect(batch.request_counts).toEqual({ total: 10, completed: 10, failed: 0 });
  expect(await linesIn(again, batch.output_file_id)).toHaveLength(10);
  expect(await again.files.retrieve(file.id)).toEqual(file);
});
