import { decodeSegmentEntry, newLiveCallId, type RequestJob, splitSegmentEntries } from '@promptmill/core';
import { afterEach, expect, test } from 'vitest';
import { openWorkerSpace, type WorkerSpace, type WorkerSpaceOptions } from './worker-space.ts';

type Input = string | number[] | (string | number[])[];
interface Answer {
  readonly data: readonly { readonly index: number; readonly embedding: readonly number[] }[];
  readonly usage: { readonly prompt_tokens: number };
}

let space: WorkerSpace;
afterEach(() => space.close());

const listOf = (input: Input): (string | number[])[] => {
  if (typeof input === 'string') return [input];
  return typeof input[0] === 'number' ? [input as number[]] : (input as (string | number[])[]);
};
/** What the provider makes of an input: its length, which is its tokens too. */
const embed = (inputs: readonly (string | number[])[]) => ({
  object: 'list',
  model: 'e',
  data: inputs.map((input, index) => ({ object: 'embedding', index, embedding: [input.length, 0.5] })),
  usage: {
    prompt_tokens: inputs.reduce((sum, { length }) => sum + length, 0),
    total_tokens: inputs.reduce((sum, { length }) => sum + length, 0),
  },
});

interface Refusal {
  readonly status: number;
  readonly body?: unknown;
}

/** A worker whose first provider embeds, and refuses what `judge` says. */
const open = async (
  judge: (inputs: readonly (string | number[])[], calls: number) => Refusal | undefined = () => undefined,
  options: WorkerSpaceOptions = {},
) => {
  const { first: more, ...others } = options;
  space = await openWorkerSpace({ concurrency: 50, ...others, first: { embeddingsPerCall: 2048, ...more } });
  const { first } = space;
  first.answerWith((_request, response) => {
    const inputs = inputsOf(first.calls.at(-1) ?? { body: {} });
    const refusal = judge(inputs, first.calls.length);
    response.writeHead(refusal?.status ?? 200, { 'content-type': 'application/json', 'retry-after-ms': '1' });
    response.end(JSON.stringify(refusal ? (refusal.body ?? { error: { message: 'no' } }) : embed(inputs)));
  });
  return space;
};

const addLines = (inputs: readonly Input[], more: Partial<RequestJob> = {}): Promise<unknown> =>
  Promise.all(
    inputs.map((input, index) =>
      space.add('first', index, { more: { url: '/v1/embeddings', body: { model: 'e', input }, ...more } }),
    ),
  );

const untilEnded = async (count: number): Promise<{ completed: number; failed: number }> => {
  await expect
    .poll(
      async () => {
        const { completed = 0, failed = 0 } = (await space.batches.get(space.batchId)) ?? {};
        return completed + failed;
      },
      { timeout: 15_000 },
    )
    .toBe(count);
  const { completed = 0, failed = 0 } = (await space.batches.get(space.batchId)) ?? {};
  return { completed, failed };
};

/** The body of each result, by index; undefined for one that failed. */
const answers = async (): Promise<(Answer | undefined)[]> => {
  const found: (Answer | undefined)[] = [];
  const stream = (await space.redis.xrange(space.keys.results, '-', '+')) as [string, string[]][];
  for (const [, fields] of stream)
    for (const value of fields.filter((field) => field.includes('\t')))
      for (const { entry } of splitSegmentEntries(Buffer.from(value))) {
        const { index, status, line } = decodeSegmentEntry(entry.subarray(0, -1));
        const { response } = JSON.parse(line.toString()) as { response: { body: Answer } };
        found[index] = status === 'completed' ? response.body : undefined;
      }
  return found;
};

const inputsOf = (call: { body: unknown }): (string | number[])[] => listOf((call.body as { input: Input }).input);
const textOf = (index: number): string => 'x'.repeat(1 + ((index * 7) % 30));

test('lines share calls; each gets its own answer, and the tokens are those of single calls', async () => {
  const { first, batches, batchId, startWorker } = await open();
  const inputs = Array.from({ length: 100 }, (_, i) => textOf(i));
  await addLines(inputs);
  await startWorker();
  expect(await untilEnded(100)).toEqual({ completed: 100, failed: 0 });
  expect((await answers()).map((answer) => answer?.data)).toEqual(inputs.map((text) => embed([text]).data));
  expect(first.calls.length).toBeLessThanOrEqual(8);
  const tokens = embed(inputs).usage.prompt_tokens;
  expect((await batches.get(batchId))?.usage).toMatchObject({ inputTokens: tokens });
  expect(new Set(first.calls.map(({ headers }) => headers['idempotency-key'])).size).toBe(first.calls.length);
});

test('a worker takes more lines than calls it may have in flight, up to what a call may carry', async () => {
  const { first, startWorker } = await open(undefined, { concurrency: 2, first: { embeddingsPerCall: 30 } });
  await addLines(Array.from({ length: 100 }, (_, i) => textOf(i)));
  await startWorker();
  await untilEnded(100);
  const sizes = first.calls.map((call) => inputsOf(call).length);
  // The lane's width begins at 2, and grows with each answered line.
  expect(Math.max(...sizes)).toBe(30);
  expect(first.calls.length).toBeLessThan(20);
});

test('a bad line fails alone; the call with it is made again in halves', async () => {
  const { first, startWorker } = await open((inputs) => (inputs.includes('bad') ? { status: 400 } : undefined));
  await addLines(Array.from({ length: 100 }, (_, i) => (i === 50 ? 'bad' : textOf(i))));
  await startWorker();
  expect(await untilEnded(100)).toEqual({ completed: 99, failed: 1 });
  expect((await answers())[50]).toBeUndefined();
  expect(first.calls.length).toBeLessThanOrEqual(8 + 2 * 7);
  // An answered line is not asked for again.
  const embedded = first.calls.flatMap((call) => (inputsOf(call).includes('bad') ? [] : inputsOf(call)));
  expect(embedded).toHaveLength(99);
});

test('where a provider takes fewer inputs, later calls have fewer', async () => {
  const { first, startWorker } = await open((inputs) => (inputs.length > 8 ? { status: 413 } : undefined));
  await addLines(Array.from({ length: 50 }, (_, i) => textOf(i)));
  await startWorker();
  await untilEnded(50);
  const before = first.calls.length;
  await Promise.all(
    Array.from({ length: 50 }, (_, i) =>
      space.add('first', 50 + i, { more: { url: '/v1/embeddings', body: { model: 'e', input: textOf(i) } } }),
    ),
  );
  expect(await untilEnded(100)).toEqual({ completed: 100, failed: 0 });
  expect(Math.max(...first.calls.slice(before).map((call) => inputsOf(call).length))).toBeLessThanOrEqual(8);
});

test('a line with which each call breaks fails alone, and costs no other line its last attempt', async () => {
  const { first, startWorker } = await open((inputs) => (inputs.includes('poison') ? { status: 500 } : undefined), {
    retry: { attempts: 4, baseDelayMs: 1, maxDelayMs: 2 },
  });
  await addLines(Array.from({ length: 20 }, (_, i) => (i === 7 ? 'poison' : textOf(i))));
  await startWorker();
  expect(await untilEnded(20)).toEqual({ completed: 19, failed: 1 });
  expect(first.calls.filter((call) => inputsOf(call).includes('poison'))).toHaveLength(4);
});

test('a refused call is made again, and uses no attempt', async () => {
  const { first, startWorker } = await open((_inputs, calls) => (calls <= 3 ? { status: 429 } : undefined), {
    retry: { attempts: 2, baseDelayMs: 1, maxDelayMs: 2 },
  });
  await addLines(Array.from({ length: 20 }, (_, i) => textOf(i)));
  await startWorker();
  expect(await untilEnded(20)).toEqual({ completed: 20, failed: 0 });
  expect(first.calls.length).toBeLessThanOrEqual(8);
});

test('a provider that answers the first input only is asked for each line', async () => {
  const { startWorker } = await open(
    (inputs) => (inputs.length > 1 ? { status: 200, body: embed(inputs.slice(0, 1)) } : undefined),
    { retry: { attempts: 4, baseDelayMs: 1, maxDelayMs: 2 } },
  );
  const inputs = Array.from({ length: 10 }, (_, i) => textOf(i));
  await addLines(inputs);
  await startWorker();
  expect(await untilEnded(10)).toEqual({ completed: 10, failed: 0 });
  expect((await answers()).map((answer) => answer?.data)).toEqual(inputs.map((text) => embed([text]).data));
});

test('each line gets what its own input asks for; what differs in anything else has another call', async () => {
  const { first, startWorker, add } = await open();
  const line = (body: object): Partial<RequestJob> => ({
    url: '/v1/embeddings',
    body: { model: 'e', ...body },
  });
  const inputs: Input[] = ['one', ['two', 'three'], [1, 2, 3], [[4], [5, 6]]];
  for (const [i, input] of inputs.entries()) await add('first', i, { more: line({ input }) });
  await add('first', 4, { more: line({ input: 'short', dimensions: 2 }) });
  await add('first', 5, { more: line({ input: '' }) });
  await startWorker();
  expect(await untilEnded(6)).toEqual({ completed: 6, failed: 0 });
  expect((await answers()).slice(0, 4).map((answer) => answer?.data)).toEqual(
    inputs.map((input) => embed(listOf(input)).data),
  );
  expect(first.calls.map(({ body }) => (body as { input: unknown }).input)).toEqual(
    expect.arrayContaining([['one', 'two', 'three'], [[1, 2, 3], [4], [5, 6]], 'short', '']),
  );
  expect(first.calls).toHaveLength(4);
});

test('lines of two batches share no call, and live calls have their own', async () => {
  const { first, startWorker, add, addBatch, redis, keys } = await open();
  const other = await addBatch('other');
  await redis.set(keys.liveApi('api'), 1, 'EX', 60);
  const more: Partial<RequestJob> = { url: '/v1/embeddings', body: { model: 'e', input: 'theirs' } };
  const live = { api: 'api', deadlineMs: Date.now() + 60_000, isKept: false };
  await addLines(['mine', 'mine too']);
  for (const index of [0, 1]) {
    await add('first', index, { batchId: other, more });
    await add('first', 0, { batchId: newLiveCallId(), more: { ...more, live, body: { model: 'e', input: 'live' } } });
  }
  await startWorker();
  await untilEnded(2);
  await expect.poll(async () => (await space.batches.get(other))?.completed).toBe(2);
  await expect.poll(() => first.calls.length).toBe(4);
  expect(first.calls.map(({ body }) => (body as { input: unknown }).input)).toEqual(
    expect.arrayContaining([['mine', 'mine too'], ['theirs', 'theirs'], 'live', 'live']),
  );
});

test('without the setting each line has a call of its own', async () => {
  const { first, startWorker } = await open(undefined, { first: { embeddingsPerCall: 1 } });
  await addLines(['one', 'two', 'three']);
  await startWorker();
  await untilEnded(3);
  expect(first.calls.map(({ body }) => (body as { input: unknown }).input)).toEqual(
    expect.arrayContaining(['one', 'two', 'three']),
  );
});
