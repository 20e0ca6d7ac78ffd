import { setTimeout as delay } from 'node:timers/promises';
import { type OpenAI, toFile } from 'openai';
import type { Batch } from 'openai/resources/batches';
import { checkHistory, type History } from './check-history.ts';
import type { Stack } from './stack.ts';

const ends = new Set(['completed', 'failed', 'expired', 'cancelled']);

/** An input of `count` requests with short prompts. */
export const inputOf = (
  count: number,
  promptOf: (index: number) => string = (i) => `Say ${i}`,
  model = 'simulator/echo',
): string =>
  Array.from({ length: count }, (_, index) =>
    JSON.stringify({
      custom_id: `request-${index}`,
      method: 'POST',
      url: '/v1/chat/completions',
      body: { model, messages: [{ role: 'user', content: promptOf(index) }] },
    }),
  )
    .map((line) => `${line}\n`)
    .join('');

/** @param more fields of the body beyond OpenAI's */
export const createBatch = async (client: OpenAI, input: string, more: object = {}): Promise<Batch> => {
  const file = await client.files.create({ file: await toFile(Buffer.from(input), 'input.jsonl'), purpose: 'batch' });
  const terms = { input_file_id: file.id, endpoint: '/v1/chat/completions', completion_window: '24h' } as const;
  return client.batches.create({ ...terms, ...more });
};

/** Polls until the batch meets the condition. Default: until it is terminal. */
export const untilBatch = async (
  client: OpenAI,
  id: string,
  condition: (batch: Batch) => boolean = ({ status }) => ends.has(status),
  timeoutMs = 60_000,
): Promise<Batch> => {
  const deadline = performance.now() + timeoutMs;
  for (;;) {
    // On a busy machine Redis may take longer than the 1.5 s after which the api answers 503.
    const batch = await client.batches.retrieve(id, { maxRetries: 5 });
    if (condition(batch)) return batch;
    if (performance.now() > deadline) throw new Error(`batch ${id} is ${JSON.stringify(batch)} after ${timeoutMs} ms`);
    await delay(20);
  }
};

const contentOf = async (client: OpenAI, fileId: string | null | undefined): Promise<string | undefined> =>
  fileId ? (await client.files.content(fileId)).text() : undefined;

/** Downloads a terminal batch's files, and checks its history against the promises. */
export const checkBatch = async (
  stack: Stack,
  batch: Batch,
  input: string,
  allowed: Pick<History, 'allowedRepeats' | 'allowedRetries'> = {},
): Promise<{ output: string | undefined; errors: string | undefined }> => {
  const output = await contentOf(stack.client, batch.output_file_id);
  const errors = await contentOf(stack.client, batch.error_file_id);
  checkHistory({ input, output, errors, batch, calls: await stack.calls(), ...allowed });
  return { output, errors };
};
