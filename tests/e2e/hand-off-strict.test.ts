import { afterAll, beforeAll, describe, expect, inject, it } from 'vitest';
import { createBatch, inputOf, untilBatch } from '../support/batches.ts';
import { extensionOf } from '../support/costs.ts';
import { parseLines } from '../support/hand-off.ts';
import { inLongForm } from '../support/long-form.ts';
import { type Stack, startStack } from '../support/stack.ts';

const requests = 600;

interface Row {
  readonly name: string;
  /** How the provider's batch API behaves. */
  readonly rules: object;
  /** How many requests it answers; the rest runs live. Default: all. */
  readonly answered?: number;
  /** Whether only `npm run test:long` has it, since it waits. */
  readonly isLong?: true;
}

const rows: readonly Row[] = [
  { name: 'answers out of order, slowly', rules: { validatingMs: 300, processingMs: 1500, finalizingMs: 300 } },
  { name: 'loses half of its answers to uploads and creations', rules: { lostAnswers: 0.5 }, isLong: true },
  {
    name: 'expires with half of the results',
    rules: { processingMs: 500, windowMs: 1500, answeredShare: 0.5 },
    answered: requests / 2,
  },
  { name: 'takes fewer lines than it is said to', rules: { maxLines: 100 }, answered: 0 },
  { name: 'has no room for the tokens of a batch', rules: { maxEnqueuedTokens: 900 }, answered: 0 },
  {
    name: 'has room for the tokens of one batch only',
    rules: { maxEnqueuedTokens: 6000, processingMs: 5000 },
    isLong: true,
  },
];

/** The simulator's batch API has OpenAI's limits and quirks. */
describe('a batch at a batch API that', () => {
  let stack: Stack;

  beforeAll(async () => {
    stack = await startStack({
      redisUrl: inject('redisUrl'),
      files: {
        'promptmill.yaml': JSON.stringify({
          providers: { simulator: { timeoutMs: 3000, batchApi: { wire: 'openai', maxLines: 200 } } },
        }),
      },
    });
  });
  afterAll(() => stack?.stop());

  it.each(rows.filter(({ isLong }) => !isLong || inLongForm))(
    '$name: each request has one result, and is paid for once',
    { timeout: 240_000 },
    async ({ rules, answered = requests }) => {
      await stack.control({ batchApi: rules });
      const before = (await stack.calls()).length;
      const input = inputOf(requests);
      const { id } = await createBatch(stack.client, input);
      const batch = await untilBatch(stack.client, id, undefined, 200_000);
      expect(batch.request_counts).toEqual({ total: requests, completed: requests, failed: 0 });
      expect(extensionOf(batch).batch_api).toMatchObject({ requests, shards: 3, open: 0 });
      const output = parseLines(await (await stack.client.files.content(batch.output_file_id ?? '')).text());
      expect(output.map(({ custom_id: customId }) => customId)).toEqual(
        Array.from({ length: requests }, (_, i) => `request-${i}`),
      );
      const ofBatchApi = output.filter(({ promptmill: note }) => note?.via === 'batch_api');
      expect(ofBatchApi).toHaveLength(answered);
      expect((await stack.calls()).slice(before)).toHaveLength(requests);
    },
  );
});
