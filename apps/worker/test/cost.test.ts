import { noCost } from '@promptmill/core';
import { createUsageRecords, dayOf } from '@promptmill/queue';
import { afterEach, expect, test } from 'vitest';
import { openWorkerSpace, type WorkerSpace } from './worker-space.ts';

const completion = {
  id: 'c1',
  object: 'chat.completion',
  choices: [{ index: 0, message: { role: 'assistant', content: 'Bonjour' }, finish_reason: 'stop' }],
  usage: { prompt_tokens: 9, completion_tokens: 3, total_tokens: 12 },
};
const nanoUsd = 9 * 1000 + 3 * 2000;

let space: WorkerSpace;
const open = async (): Promise<WorkerSpace> =>
  (space = await openWorkerSpace({ first: { models: { m: { prices: { input: 1, output: 2 } } } } }));
afterEach(() => space.close());

test('an answer is charged by the configured price; where there is none, its cost is unknown', async () => {
  const { first, second, startWorker, add, batches, batchId, redis, keys } = await open();
  first.answerJson(200, completion);
  second.answerJson(200, completion);
  await startWorker();
  await Promise.all([add('first', 0), add('first', 1), add('second', 2)]);
  await expect.poll(async () => (await batches.get(batchId))?.completed).toBe(3);
  expect((await batches.get(batchId))?.cost).toEqual({ ...noCost, spentNanoUsd: 2 * nanoUsd, unpriced: 1 });
  const used = await createUsageRecords(redis, keys).ofDay('acme', dayOf(Date.now()));
  const tokens = { inputTokens: 9, outputTokens: 3, inputCharacters: 6 };
  expect(used.toSorted((a, b) => a.model.localeCompare(b.model))).toMatchObject([
    { model: 'first/m', answers: 2, inputTokens: 18, outputTokens: 6, inputCharacters: 12, spentNanoUsd: 2 * nanoUsd },
    { model: 'second/m', answers: 1, ...tokens, unpriced: 1, spentNanoUsd: 0 },
  ]);
});

test('an attempt that used tokens and gave no result is counted apart', async () => {
  const { first, startWorker, add, batches, batchId } = await open();
  let calls = 0;
  first.answerWith((_request, response) => {
    const body = calls++ === 0 ? { ...completion, choices: 'none' } : completion;
    response.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify(body));
  });
  await startWorker();
  await add('first', 0);
  await expect.poll(async () => (await batches.get(batchId))?.completed).toBe(1);
  expect((await batches.get(batchId))?.cost).toEqual({ ...noCost, spentNanoUsd: nanoUsd, wastedNanoUsd: nanoUsd });
});

test('a request that failed for good costs nothing', async () => {
  const { first, startWorker, add, batches, batchId } = await open();
  first.answerJson(400, { error: { message: 'no' } });
  await startWorker();
  await add('first', 0);
  await expect.poll(async () => (await batches.get(batchId))?.failed).toBe(1);
  expect((await batches.get(batchId))?.cost).toEqual(noCost);
});
