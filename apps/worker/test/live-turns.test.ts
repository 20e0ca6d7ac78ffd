import { afterEach, expect, test } from 'vitest';
import { openWorkerSpace, type WorkerSpace } from './worker-space.ts';

const completion = {
  id: 'c1',
  object: 'chat.completion',
  choices: [{ index: 0, message: { role: 'assistant', content: 'Bonjour' }, finish_reason: 'stop' }],
  usage: { prompt_tokens: 9, completion_tokens: 3, total_tokens: 12 },
};

let space: WorkerSpace;
afterEach(() => space.close());

const promptsSeen = (): string[] =>
  space.first.calls.map(({ body }) => (body as { messages: { content: string }[] }).messages[0]?.content ?? '');

test.each([
  ['requests', { requestsPerSecond: 10 }],
  ['calls in flight', { concurrency: 1 }],
])(
  'a live call waits for one batch request more, where %s are limited and batch requests fill the worker',
  async (_, first) => {
    space = await openWorkerSpace({ first, concurrency: 4 });
    space.first.answerJson(200, completion);
    for (let i = 0; i < 40; i++) await space.add('first', i);
    await space.startWorker();
    await expect.poll(() => space.first.calls.length).toBeGreaterThan(5);
    const before = space.first.calls.length;
    await space.addLive('acme');
    await expect.poll(() => promptsSeen().indexOf('Live'), { timeout: 10_000 }).toBeGreaterThan(0);
    // One call may be on its way, one more frees a place in the worker.
    expect(promptsSeen().indexOf('Live') - before).toBeLessThanOrEqual(2);
  },
);

test('live calls that never end leave a tenth of a limited lane to batch requests', async () => {
  space = await openWorkerSpace({ first: { requestsPerSecond: 100 }, concurrency: 20 });
  space.first.answerJson(200, completion);
  for (let i = 0; i < 20; i++) await space.add('first', i);
  for (let i = 0; i < 120; i++) await space.addLive('acme');
  await space.startWorker();
  await expect.poll(() => space.first.calls.length, { timeout: 10_000 }).toBeGreaterThanOrEqual(100);
  const ofBatch = promptsSeen()
    .slice(0, 100)
    .filter((prompt) => prompt === 'Hi').length;
  expect(ofBatch).toBeGreaterThanOrEqual(5);
});
