import { type Delta, field, nanosToUsd, type RequestJob, schemaFields } from '@promptmill/core';
import { createDeltaSubscriber } from '@promptmill/queue';
import { afterEach, expect, test } from 'vitest';
import { openWorkerSpace, type WorkerSpace, type WorkerSpaceOptions } from './worker-space.ts';

const url = '/v1/chat/completions';
const schema = { type: 'object', properties: { stars: { type: 'integer' } }, required: ['stars'] };
const question = { role: 'user', content: 'Rate it.' };
const checked = (of: object = schema): Pick<RequestJob, 'body' | 'checkSchema'> => ({
  checkSchema: true,
  body: { model: 'm', messages: [question], ...schemaFields(url, 'rating', of as never) },
});

const prices = { models: { m: { prices: { input: 1, output: 2 } } } };
const usage = { prompt_tokens: 9, completion_tokens: 3, total_tokens: 12 };
const callNanoUsd = 9 * 1000 + 3 * 2000;
const saying = (content: string | null, more: object = {}, finish = 'stop') => ({
  id: 'c1',
  object: 'chat.completion',
  choices: [{ index: 0, message: { role: 'assistant', content, ...more }, finish_reason: finish }],
  usage,
});
const good = saying('{"stars": 5}');
const bad = saying('{"stars": "five"}');
const broken = [500, { error: { message: 'broken' } }] as const;

let space: WorkerSpace;
const open = async (options: WorkerSpaceOptions = {}): Promise<WorkerSpace> =>
  (space = await openWorkerSpace({ first: prices, ...options }));
afterEach(() => space.close());

/** The provider gives these answers one after another, and the last one from then on. */
const answerInTurn = (
  provider: WorkerSpace['first'],
  answers: readonly (object | readonly [status: number, body: object])[],
): void => {
  let calls = 0;
  provider.answerWith((_, response) => {
    const answer = answers[Math.min(calls++, answers.length - 1)];
    const [status, body] = Array.isArray(answer) ? (answer as [number, object]) : [200, answer];
    response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(body));
  });
};

const counts = async () => {
  const { completed = 0, failed = 0 } = (await space.batches.get(space.batchId)) ?? {};
  return { completed, failed };
};
const untilDone = (expected: { completed: number; failed: number }, options = {}) =>
  expect.poll(counts, options).toEqual(expected);

interface Line {
  readonly response: { readonly body: unknown } | null;
  readonly error: { readonly code: string; readonly message: string } | null;
}
const lines = async (): Promise<Line[]> => {
  const entries = await space.redis.xrange(space.keys.results, '-', '+');
  return entries.flatMap(([, fields]) =>
    (fields.at(-1) ?? '')
      .split('\n')
      .filter(Boolean)
      .map((entry) => JSON.parse(entry.slice(entry.indexOf('{'))) as Line),
  );
};
const messagesOf = (call: { body: unknown } | undefined) => field(call?.body, 'messages');

test('an answer that does not match is asked for once more, with what was wrong with it', async () => {
  const { first, startWorker, add, batches, batchId } = await open();
  answerInTurn(first, [bad, good]);
  await startWorker();
  await add('first', 0, { more: checked() });
  await untilDone({ completed: 1, failed: 0 });
  expect(first.calls.map(messagesOf)).toEqual([
    [question],
    [
      question,
      { role: 'assistant', content: '{"stars": "five"}' },
      { role: 'user', content: expect.stringContaining('- /stars must be integer') as string },
    ],
  ]);
  // A provider that knows the first call by its key would give the same answer.
  expect(new Set(first.calls.map(({ headers }) => headers['idempotency-key'])).size).toBe(2);
  expect((await lines())[0]).toMatchObject({ response: { body: good }, error: null });
  expect((await batches.get(batchId))?.cost).toMatchObject({ spentNanoUsd: callNanoUsd, wastedNanoUsd: callNanoUsd });
});

test('a second answer that does not match is an error line with that answer', async () => {
  const { first, startWorker, add, batches, batchId } = await open();
  answerInTurn(first, [bad, saying('Five!')]);
  await startWorker();
  await add('first', 0, { more: checked() });
  await untilDone({ completed: 0, failed: 1 });
  expect(first.calls).toHaveLength(2);
  expect((await lines())[0]).toMatchObject({
    response: { status_code: 200, body: saying('Five!') },
    error: { code: 'schema_mismatch', message: expect.stringContaining('it is not JSON') as string },
    promptmill: { cost_usd: nanosToUsd(callNanoUsd) },
  });
  expect((await batches.get(batchId))?.cost).toMatchObject({ spentNanoUsd: 0, wastedNanoUsd: 2 * callNanoUsd });
});

test.each([
  ['a refusal', saying(null, { refusal: 'I will not.' }), 'answer_refused', 'I will not.'],
  ['an answer that was cut off', saying('{"stars"', {}, 'length'), 'answer_cut_off', 'length'],
])('%s is said as such, and not asked for again', async (_, answer, code, message) => {
  const { first, startWorker, add } = await open();
  first.answerJson(200, answer);
  await startWorker();
  await add('first', 0, { more: checked() });
  await untilDone({ completed: 0, failed: 1 });
  expect(first.calls).toHaveLength(1);
  expect((await lines())[0]).toMatchObject({
    response: { body: answer },
    error: { code, message: expect.stringContaining(message) as string },
  });
});

test('the second call is tried again after a failure, and still says what was wrong', async () => {
  const { first, startWorker, add } = await open();
  answerInTurn(first, [bad, broken, good]);
  await startWorker();
  await add('first', 0, { more: checked() });
  await untilDone({ completed: 1, failed: 0 });
  expect(messagesOf(first.calls[2])).toEqual(messagesOf(first.calls[1]));
  expect(first.calls).toHaveLength(3);
});

test('when the second call fails for good, the first answer is in the error line', async () => {
  const { first, startWorker, add } = await open();
  answerInTurn(first, [bad, [400, { error: { message: 'too long' } }]]);
  await startWorker();
  await add('first', 0, { more: checked() });
  await untilDone({ completed: 0, failed: 1 });
  const [line] = await lines();
  expect(line).toMatchObject({ response: { status_code: 200, body: bad }, error: { code: 'schema_mismatch' } });
  expect(line?.error?.message).toContain('/stars must be integer. It was asked for again, without success: ');
});

test('a batch that was paused meanwhile makes no second call, and keeps the answer', async () => {
  const { first, startWorker, add, batches, batchId } = await open();
  first.answerWith((_, response) => {
    void batches.pause(batchId, Date.now()).then(() => {
      response.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify(bad));
    });
  });
  await startWorker();
  await add('first', 0, { more: checked() });
  await untilDone({ completed: 0, failed: 1 });
  expect(first.calls).toHaveLength(1);
  expect((await lines())[0]).toMatchObject({ response: { body: bad }, error: { code: 'schema_mismatch' } });
});

test('the second call goes to the fallback too, with what was wrong', async () => {
  const { first, second, startWorker, add } = await open();
  answerInTurn(first, [bad, [402, { error: { message: 'no money' } }]]);
  second.answerJson(200, good);
  await startWorker();
  const fallback = { models: ['second/m'], deadlineNearMs: Date.now() + 3_600_000 };
  await add('first', 0, { more: { ...checked(), fallback } });
  await untilDone({ completed: 1, failed: 0 });
  expect(messagesOf(second.calls[0])).toEqual(messagesOf(first.calls[1]));
});

test('a worker that takes over after the first answer makes the second call', async () => {
  const { first, startWorker, add } = await open();
  first.answerJson(200, good);
  const mismatch = { statusCode: 200, requestId: '', json: '{}', text: 'Five!', faults: ['it is not JSON'] };
  await add('first', 0, { more: { ...checked(), mismatch } });
  await startWorker();
  await untilDone({ completed: 1, failed: 0 });
  expect(first.calls.map(messagesOf)).toMatchObject([[question, { content: 'Five!' }, { role: 'user' }]]);
});

test('a request whose schema is none is an error line, without a call; one without a schema is not checked', async () => {
  const { first, startWorker, add } = await open();
  first.answerJson(200, good);
  await startWorker();
  await add('first', 0, { more: checked({ type: 'strin' }) });
  await add('first', 1);
  await untilDone({ completed: 1, failed: 1 });
  expect(first.calls).toHaveLength(1);
  const failed = (await lines()).find(({ error }) => error);
  expect(failed).toMatchObject({
    response: null,
    error: { code: 'invalid_schema', message: expect.stringContaining('/type must be') as string },
  });
});

test('a schema that would take for ever costs its own request only', async () => {
  const { first, startWorker, add } = await open();
  first.answerJson(200, saying(JSON.stringify(`${'a'.repeat(60)}!`)));
  await startWorker();
  await add('first', 0, { more: checked({ type: 'string', pattern: '^(a+)+$' }) });
  await add('first', 1, { more: checked({ type: 'string' }) });
  // Twice a process checks until it has used its time of the processor, which takes long on a busy machine.
  await untilDone({ completed: 1, failed: 1 }, { timeout: 50_000 });
  expect((await lines()).find(({ error }) => error)).toMatchObject({ error: { code: 'answer_unchecked' } });
  expect(first.calls).toHaveLength(2);
});

test('a stream whose answer does not match does not count as complete; the next begins again at 0', async () => {
  const { first, startWorker, add, connect, keys, redis, batchId } = await open();
  const chunk = (choice: object): string =>
    `data: ${JSON.stringify({ id: 'c', choices: [{ index: 0, ...choice }] })}\n\n`;
  let calls = 0;
  first.answerWith((_, response) => {
    response.writeHead(200, { 'content-type': 'text/event-stream' });
    const content = calls++ === 0 ? 'Five!' : '{"stars": 5}';
    response.end(
      `${chunk({ delta: { role: 'assistant', content } })}${chunk({ delta: {}, finish_reason: 'stop' })}data: [DONE]\n\n`,
    );
  });
  const subscriber = createDeltaSubscriber(connect, keys);
  const heard: Delta[] = [];
  subscriber.subscribe(batchId, (delta) => heard.push(delta));
  await expect.poll(() => redis.spublish(keys.deltas(batchId), '[]')).toBeGreaterThan(0);
  await startWorker();
  const { checkSchema, body } = checked();
  await add('first', 0, { more: { checkSchema, body: { ...body, stream: true } } as Partial<RequestJob> });
  await expect.poll(() => heard.at(-1)).toMatchObject({ offset: 12, done: true });
  expect(heard.filter(({ done }) => done)).toHaveLength(1);
  expect(heard.findLast(({ done }) => !done)).toMatchObject({ offset: 0, delta: '{"stars": 5}' });
  subscriber.close();
});
