import { afterAll, beforeAll, expect, inject, it } from 'vitest';
import { inputFile, lines } from './support/input.ts';
import { startTestApi, type TestApi } from './support/test-api.ts';

interface Shown {
  readonly status: string;
  readonly promptmill: { readonly paused_at: number | null };
}

let api: TestApi;

beforeAll(async () => {
  api = await startTestApi({ redisUrl: inject('redisUrl') });
});
afterAll(() => api.close());

const newBatch = async (content = lines(3)): Promise<string> => {
  const file = await api.alice.files.create({ file: await inputFile(content), purpose: 'batch' });
  const request = { input_file_id: file.id, endpoint: '/v1/chat/completions', completion_window: '24h' } as const;
  return (await api.alice.batches.create(request)).id;
};

const untilStatus = (id: string, status: string) =>
  expect.poll(() => api.alice.batches.retrieve(id), { timeout: 10_000 }).toMatchObject({ status });

const pause = (id: string) => api.alice.post<Shown>(`/batches/${id}/pause`);
const resume = (id: string) => api.alice.post<Shown>(`/batches/${id}/resume`);

it('pauses and resumes, twice each, and shows since when', async () => {
  const id = await newBatch();
  const paused = await pause(id);
  const since = paused.promptmill.paused_at;
  expect(since).toBeTypeOf('number');
  await untilStatus(id, 'in_progress');
  expect((await pause(id)).promptmill.paused_at).toBe(since);
  expect(await api.alice.batches.retrieve(id)).toMatchObject({ promptmill: { paused_at: since } });
  expect(await resume(id)).toMatchObject({ status: 'in_progress', promptmill: { paused_at: null } });
  expect(await resume(id)).toMatchObject({ status: 'in_progress', promptmill: { paused_at: null } });
});

it('cancels a paused batch', async () => {
  const id = await newBatch();
  await pause(id);
  expect(await api.alice.batches.cancel(id)).toMatchObject({ status: 'cancelling', promptmill: { paused_at: null } });
});

it.each([
  ['failed', () => newBatch('\n')],
  [
    'cancelling',
    async () => {
      const id = await newBatch();
      await api.alice.batches.cancel(id);
      return id;
    },
  ],
])('refuses both to a batch that is %s', async (status, create) => {
  const id = await create();
  await untilStatus(id, status);
  await expect(pause(id)).rejects.toMatchObject({
    status: 409,
    message: `409 Cannot pause a batch with status '${status}'.`,
  });
  await expect(resume(id)).rejects.toMatchObject({
    status: 409,
    message: `409 Cannot resume a batch with status '${status}'.`,
  });
});

it("does not touch another tenant's batch", async () => {
  const id = await newBatch();
  for (const action of ['pause', 'resume', 'retry'])
    await expect(api.bob.post(`/batches/${id}/${action}`)).rejects.toMatchObject({ status: 404 });
});
