import type { Delta } from '@promptmill/core';
import { toFile } from 'openai';
import { Stream } from 'openai/streaming';
import { afterAll, beforeAll, describe, expect, inject, it } from 'vitest';
import { checkBatch, createBatch, untilBatch } from '../support/batches.ts';
import { type Stack, startStack } from '../support/stack.ts';

type Event = { readonly event: 'delta'; readonly data: Delta } | { readonly event: 'progress' | 'done' };

let stack: Stack;

beforeAll(async () => {
  stack = await startStack({ redisUrl: inject('redisUrl'), env: { SIMULATOR_CHUNK_DELAY_MS: '20' } });
});
afterAll(() => stack.stop());

const lineOf = (customId: string, url: string, body: object): string =>
  `${JSON.stringify({ custom_id: customId, method: 'POST', url, body: { model: 'simulator/echo', ...body } })}\n`;

const chat = (customId: string, content: string, more: object = {}): string =>
  lineOf(customId, '/v1/chat/completions', { messages: [{ role: 'user', content }], stream: true, ...more });

const deltasOf = async (batchId: string, query = ''): Promise<Delta[]> => {
  const response = await fetch(`${stack.api.url}/v1/batches/${batchId}/events?deltas=true${query}`);
  const events = Stream.fromSSEResponse<Event>(response, new AbortController(), stack.client, true);
  const deltas: Delta[] = [];
  for await (const event of events) if (event.event === 'delta') deltas.push(event.data);
  return deltas;
};

/** The text that a reader of these deltas has in the end. */
const textsOf = (deltas: readonly Delta[]): Record<string, string> => {
  const texts: Record<string, string> = {};
  for (const { custom_id: id, offset, delta } of deltas)
    texts[id] = `${(texts[id] ?? '').slice(0, offset).padEnd(offset, '…')}${delta}`;
  return texts;
};

describe('a streamed line', () => {
  /** An answer without the fields that differ between two calls. */
  const withoutIds = (value: unknown): unknown =>
    JSON.parse(
      JSON.stringify(value, (key, item: unknown) => (/^(id|created|created_at)$/.test(key) ? undefined : item)),
    );

  it.each([
    ['/v1/chat/completions', { messages: [{ role: 'user', content: 'What is a lane? 🛤️ And a window?' }], n: 2 }],
    ['/v1/chat/completions', { messages: [{ role: 'user', content: 'Say much' }], max_tokens: 1 }],
    ['/v1/completions', { prompt: ['One prompt of some length', 'Another'] }],
    ['/v1/responses', { input: 'What is a segment?', instructions: 'Be brief.' }],
  ] as const)('of %s has the same result as a line that is not streamed: %j', async (endpoint, body) => {
    const input = lineOf('plain', endpoint, body) + lineOf('streamed', endpoint, { ...body, stream: true });
    const file = await stack.client.files.create({
      file: await toFile(Buffer.from(input), 'i.jsonl'),
      purpose: 'batch',
    });
    const created = await stack.client.batches.create({ input_file_id: file.id, endpoint, completion_window: '24h' });
    const { output } = await checkBatch(stack, await untilBatch(stack.client, created.id), input);
    const [plain, streamed] = (output ?? '').split('\n', 2).map((line) => JSON.parse(line) as { response: unknown });
    expect(streamed?.response).toMatchObject({ body: { usage: { total_tokens: expect.any(Number) as number } } });
    expect(withoutIds(streamed?.response)).toEqual({
      ...(withoutIds(plain?.response) as object),
      request_id: expect.any(String) as string,
    });
  });

  it('gives its text as it comes to those who ask for it', async () => {
    const prompts = { a: 'A long prompt comes back in many pieces. '.repeat(20), b: 'A short one comes in few.' };
    const input =
      chat('a', prompts.a) + chat('b', prompts.b) + chat('c', 'This one is not streamed.', { stream: false });
    const { id } = await createBatch(stack.client, input);
    const [all, ofB] = await Promise.all([deltasOf(id), deltasOf(id, '&custom_id=b')]);
    expect(textsOf(all)).toMatchObject({ a: prompts.a });
    expect(all.filter(({ custom_id: custom, delta }) => custom === 'a' && delta !== '').length).toBeGreaterThan(3);
    expect(all.filter(({ done }) => done).map(({ custom_id: custom }) => custom)).toContain('a');
    expect(Object.keys(textsOf(all))).not.toContain('c');
    expect(new Set(ofB.map(({ custom_id: custom }) => custom))).not.toContain('a');
    await checkBatch(stack, await untilBatch(stack.client, id), input);
  });

  it('that is cut off is called once more, and its text starts again at offset 0', async () => {
    const prompt = `[[sim:fault=stream-cut;times=1]] ${'and so on '.repeat(40)}`;
    const input = chat('cut', prompt);
    const { id } = await createBatch(stack.client, input);
    const deltas = await deltasOf(id);
    expect(textsOf(deltas)).toEqual({ cut: prompt });
    const batch = await untilBatch(stack.client, id);
    expect(batch.request_counts).toEqual({ total: 1, completed: 1, failed: 0 });
    const { output } = await checkBatch(stack, batch, input, { allowedRetries: 1 });
    expect(JSON.parse(output ?? '')).toMatchObject({
      response: { body: { object: 'chat.completion', choices: [{ message: { content: prompt } }] } },
    });
    const calls = (await stack.calls()).filter(({ key }) => key === `${id}-0`);
    expect(calls.map(({ fault }) => fault)).toEqual(['stream-cut', undefined]);
  });
});
