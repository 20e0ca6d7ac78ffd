import { once } from 'node:events';
import { type ClientRequest, request } from 'node:http';
import { createFileRecords } from '@promptmill/queue';
import { newFileId } from '@promptmill/core';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { startWatchedApi, type WatchedApi } from './watched-api.ts';

const maxBlockedMs = 50;
const mib = 2 ** 20;
const json = { 'content-type': 'application/json' };

let api: WatchedApi;
beforeAll(async () => {
  api = await startWatchedApi();
});
afterAll(() => api.close());

/** Asks `/livez` again and again until `work` is done; the longest that an answer took. */
const longestLivezMs = async (work: Promise<unknown>): Promise<number> => {
  const over = new AbortController();
  const done = work.finally(() => over.abort());
  let longestMs = 0;
  while (!over.signal.aborted) {
    const startedAt = performance.now();
    await api.send({ path: '/livez' });
    longestMs = Math.max(longestMs, performance.now() - startedAt);
  }
  await done;
  return longestMs;
};

it('four bodies of 33 MB at once are refused, and not kept', async () => {
  const body = Buffer.from(`{"model":"simulator/echo","prompts":["${'x'.repeat(33_000_000)}"]}`);
  const post = (more: Readonly<Record<string, string>> = {}) =>
    api.send({ method: 'POST', path: '/v1/batches', headers: { ...json, ...more }, body });
  const before = await api.measure();
  const answers = Promise.all([
    post({ 'content-length': String(body.length) }),
    post({ 'content-length': String(body.length) }),
    post({ 'transfer-encoding': 'chunked' }),
    post({ 'transfer-encoding': 'chunked' }),
  ]);
  await longestLivezMs(answers);
  for (const { status, text } of await answers) {
    expect(status).toBe(413);
    const { error } = JSON.parse(text) as { error: { message: string; code: string } };
    expect(error.code).toBe('request_too_large');
    expect(error.message).toMatch(/ 4194304\b.* Upload the prompts as a file instead/);
  }
  expect((await answers)[0]?.text).toContain(`has ${body.length} bytes`);
  const { blockedMs, memoryBytes } = await api.measure();
  expect(blockedMs).toBeLessThanOrEqual(maxBlockedMs);
  // What is read and thrown away is garbage until V8 collects it.
  expect(memoryBytes - before.memoryBytes).toBeLessThan(4 * body.length);
});

it('a body that is not for prompts may have 1 MiB', async () => {
  const batchId = `batch_${'0'.repeat(32)}`;
  const { status, text } = await api.send({
    method: 'POST',
    path: `/v1/batches/${batchId}/retry`,
    headers: json,
    body: JSON.stringify({ custom_ids: ['x'.repeat(mib)] }),
  });
  expect(status).toBe(413);
  expect(text).toContain(`it may have ${mib}`);
});

it('1.6 million error codes are refused without a pause', async () => {
  const body = `{"error_codes":[${'1,'.repeat(500_000)}1]}`;
  await api.measure();
  const path = `/v1/batches/batch_${'0'.repeat(32)}/retry`;
  for (const size of [body, `{"error_codes":[${'"a",'.repeat(1_600_000)}"a"]}`]) {
    const { status } = await api.send({ method: 'POST', path, headers: json, body: size });
    expect(status).toBe(413);
  }
  expect((await api.measure()).blockedMs).toBeLessThanOrEqual(maxBlockedMs);
});

it('a tenant whose large bodies do not arrive holds up only itself', async () => {
  const headers = { authorization: 'Bearer alice-key-0001', ...json, 'content-length': String(4 * mib) };
  const started: ClientRequest[] = [];
  for (let i = 0; i < 6; i++) {
    const sent = request(`${api.url}/v1/batches`, { method: 'POST', headers, agent: false });
    sent.on('error', () => {});
    sent.write('{');
    started.push(sent);
  }
  await Promise.all(started.map((sent) => once(sent, 'socket')));
  const body = `{"model":"simulator/echo","prompts":["${'x'.repeat(mib)}"]}`;
  const answer = await api.send({ method: 'POST', path: '/v1/batches', headers: json, body, tenant: 'bob' });
  expect(answer.status).toBe(200);
  for (const sent of started) sent.destroy();
});

it('a tenant that lists its 10,000 files slows no other', async () => {
  const records = createFileRecords(api.redis, api.keys);
  const createdAt = 1_795_000_000;
  const models = Object.fromEntries(Array.from({ length: 100 }, (_, i) => [`a-model-of-some-provider/${i}`, i]));
  const put = (i: number) =>
    records.put({
      id: newFileId(),
      tenant: 'alice',
      filename: `${i}.jsonl`,
      purpose: i % 5000 === 0 ? 'batch_output' : 'batch',
      bytes: 1,
      createdAt: createdAt + i,
      summary: { requests: 1, problems: [], problemCount: 0, urls: {}, models },
    });
  for (let i = 0; i < 10_000; i += 500) await Promise.all(Array.from({ length: 500 }, (_, j) => put(i + j)));

  const list = async (query: string) => {
    const { status, text } = await api.send({ path: `/v1/files?${query}` });
    expect(status).toBe(200);
    return JSON.parse(text) as { data: { id: string }[]; last_id: string; has_more: boolean };
  };
  expect(await list('')).toMatchObject({ data: { length: 100 }, has_more: true });
  expect(await list('purpose=batch_output')).toMatchObject({ data: { length: 2 }, has_more: false });

  const listAll = async (): Promise<number> => {
    let count = 0;
    for (let after = ''; ;) {
      const page = await list(`limit=1000${after}`);
      count += page.data.length;
      if (!page.has_more) return count;
      after = `&after=${page.last_id}`;
    }
  };
  await api.measure();
  const counts = Promise.all([listAll(), listAll(), listAll(), listAll()]);
  const longestMs = await longestLivezMs(counts);
  expect(await counts).toEqual([10_000, 10_000, 10_000, 10_000]);
  expect((await api.measure()).blockedMs).toBeLessThanOrEqual(maxBlockedMs);
  expect(longestMs).toBeLessThan(1000);
});
