import { afterEach, expect, test } from 'vitest';
import { openWorkerSpace, type WorkerSpace } from './worker-space.ts';

const completion = {
  id: 'c1',
  object: 'chat.completion',
  choices: [{ index: 0, message: { role: 'assistant', content: 'Yes' }, finish_reason: 'stop' }],
  usage: {
    prompt_tokens: 1300,
    completion_tokens: 1,
    total_tokens: 1301,
    prompt_tokens_details: { cached_tokens: 1280 },
  },
};
const start = 'The miller counts each measure of grain twice. '.repeat(120);

let space: WorkerSpace;
afterEach(() => space.close());

test('of the requests that begin alike one is called first; others do not wait for it', async () => {
  space = await openWorkerSpace({ first: { promptCache: true } });
  const { first, startWorker, add, batches, batchId } = space;
  const answers: (() => void)[] = [];
  first.answerWith((_request, response) => {
    const answer = JSON.stringify(completion);
    answers.push(() => void response.writeHead(200, { 'content-type': 'application/json' }).end(answer));
  });
  for (let index = 0; index < 5; index++)
    await add('first', index, { prompt: `${start}${index}`, more: { bytes: start.length } });
  await add('first', 5, { prompt: 'Hi' });
  await startWorker();
  await expect.poll(() => answers.length).toBe(2);
  for (const answer of answers.splice(0)) answer();
  await expect.poll(() => answers.length).toBe(4);
  for (const answer of answers) answer();
  await expect.poll(async () => (await batches.get(batchId))?.completed).toBe(6);
  expect(first.calls).toHaveLength(6);
});
