import { expect, it } from 'vitest';
import type { PromptBatch } from './create-batch-schemas.ts';
import { promptLines } from './prompt-lines.ts';

const batch = (prompts: unknown[], more: Partial<PromptBatch> = {}): PromptBatch => ({
  endpoint: '/v1/chat/completions',
  completion_window: '24h',
  prompts,
  ...more,
});

const linesOf = async (body: PromptBatch): Promise<unknown[]> => {
  const content = Buffer.concat(await Array.fromAsync(promptLines(body))).toString();
  expect(content.endsWith('\n')).toBe(true);
  return content
    .slice(0, -1)
    .split('\n')
    .map((text) => JSON.parse(text) as unknown);
};

it('makes a line of each prompt, however many', async () => {
  const prompts = Array.from({ length: 10_000 }, (_, i) => `Say\n${i}`);
  const lines = await linesOf(batch(prompts, { model: 'a/b' }));
  expect(lines).toHaveLength(10_000);
  expect(lines[9999]).toEqual({
    custom_id: 'request-10000',
    method: 'POST',
    url: '/v1/chat/completions',
    body: { model: 'a/b', messages: [{ role: 'user', content: 'Say\n9999' }] },
  });
});

it('takes the model of the prompt before that of the batch', async () => {
  expect(await linesOf(batch([{ prompt: 'hi', model: 'c/d' }, 'ho'], { model: 'a/b' }))).toMatchObject([
    { body: { model: 'c/d' } },
    { body: { model: 'a/b' } },
  ]);
});
