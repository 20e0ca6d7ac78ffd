import { type Simulator, startSimulator } from '@promptmill/simulator';
import { afterAll, beforeAll, describe, expect, inject, it } from 'vitest';
import { createBatch, inputOf, untilBatch } from '../support/batches.ts';
import { extensionOf } from '../support/costs.ts';
import { parseLines } from '../support/hand-off.ts';
import { repeatedInput } from '../support/repeated-input.ts';
import { type Stack, startStack } from '../support/stack.ts';

const requests = 600;

interface Row {
  readonly name: string;
  /** How the provider's batch API behaves. */
  readonly rules: object;
  /** How many requests it answers; the rest runs live. Default: all. */
  readonly answered?: number;
}

const rows: readonly Row[] = [
  { name: 'answers out of order, slowly', rules: { validatingMs: 300, processingMs: 1500, finalizingMs: 300 } },
  { name: 'loses half of its answers to uploads and creations', rules: { lostAnswers: 0.5 } },
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
  },
];

/** The simulator's batch API has OpenAI's limits and quirks. */
describe('a batch at a batch API that', () => {
  let stack: Stack;
  /** A provider without a batch API. */
  let other: Simulator;

  beforeAll(async () => {
    other = await startSimulator();
    stack = await startStack({
      redisUrl: inject('redisUrl'),
      files: {
        'promptmill.yaml': JSON.stringify({
          providers: {
            simulator: { timeoutMs: 3000, batchApi: { wire: 'openai', maxLines: 200 } },
            other: { baseUrl: other.url },
          },
        }),
      },
    });
  });
  afterAll(async () => {
    await stack?.stop();
    await other.close();
  });

  it.each(rows)(
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

  it('is one provider of two: repeats get copies, and what the other is to answer runs live', async () => {
    await stack.control({ batchApi: {} });
    const before = (await stack.calls()).length;
    const { content, questions } = repeatedInput(1000);
    const lines = content.trimEnd().split('\n');
    const input = lines.flatMap((line, i) =>
      i % 10 === 0
        ? [
            inputOf(1, () => `Other ${i}`, 'other/echo')
              .trimEnd()
              .replace('request-0', `other-${i}`),
            line,
          ]
        : [line],
    );
    const { id } = await createBatch(stack.client, `${input.join('\n')}\n`, { promptmill: { dedupe: true } });
    const batch = await untilBatch(stack.client, id);
    expect(batch.request_counts).toEqual({ total: 1100, completed: 1100, failed: 0 });
    expect(extensionOf(batch)).toMatchObject({
      copied: 1000 - questions,
      batch_api: { requests: questions, shards: 3 },
    });
    const output = parseLines(await (await stack.client.files.content(batch.output_file_id ?? '')).text());
    const idOf = (line: string) => (JSON.parse(line) as { custom_id: string }).custom_id;
    expect(output.map(({ custom_id: customId }) => customId)).toEqual(input.map(idOf));
    expect((await stack.calls()).slice(before)).toHaveLength(questions);
  });

  it('answers with what does not match a schema: that is asked for again live', async () => {
    const before = (await stack.calls()).length;
    const schema = { type: 'object', properties: { label: { type: 'string' } }, required: ['label'] };
    const format = { type: 'json_schema', json_schema: { name: 'rating', strict: true, schema } };
    const lines = inputOf(500, (i) => (i % 100 === 0 ? `[[sim:mismatch=first]] ${i}` : `Say ${i}`), 'simulator/json')
      .trimEnd()
      .split('\n')
      .map((line) => {
        const request = JSON.parse(line) as { body: object };
        return JSON.stringify({ ...request, body: { ...request.body, response_format: format } });
      });
    const promptmill = { check_schema: true };
    const { id } = await createBatch(stack.client, `${lines.join('\n')}\n`, { promptmill });
    const batch = await untilBatch(stack.client, id);
    expect(batch.request_counts).toEqual({ total: 500, completed: 500, failed: 0 });
    const output = parseLines(await (await stack.client.files.content(batch.output_file_id ?? '')).text());
    expect(output.filter(({ promptmill: note }) => note?.via === undefined)).toHaveLength(5);
    expect((await stack.calls()).slice(before).length).toBeGreaterThanOrEqual(505);
  });
});
