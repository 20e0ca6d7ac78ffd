import { expect, it } from 'vitest';
import type { PromptBatch } from './create-batch-schemas.ts';
import { checkPrompts } from './check-prompts.ts';
import { promptLines } from './prompt-lines.ts';

const batch = (prompts: unknown[], more: Partial<PromptBatch> = {}): PromptBatch => ({
  endpoint: '/v1/chat/completions',
  completion_window: '24h',
  prompts,
  ...more,
});

const check = (prompts: unknown[], more?: Partial<PromptBatch>) => checkPrompts(batch(prompts, more));

it.each([
  [['a', 7], 'prompts[1]', 'invalid_value'],
  [[{ prompt: 'a', messages: [{ role: 'user' }] }], 'prompts[0]', 'invalid_value'],
  [[{ custom_id: 'a' }], 'prompts[0]', 'invalid_value'],
  [[{ messages: [] }], 'prompts[0]', 'invalid_value'],
  [[{ messages: [{ role: 'user' }, 1] }], 'prompts[0]', 'invalid_value'],
  [[{ custom_id: 'x'.repeat(513), prompt: 'a' }], 'prompts[0]', 'invalid_value'],
  [[{ model: 'x'.repeat(257), prompt: 'a' }], 'prompts[0]', 'invalid_value'],
])('refuses %j', async (prompts, param, code) => {
  await expect(check(prompts, { model: 'a/b' })).rejects.toMatchObject({ status: 400, param, code });
});

it('refuses prompts for no model', async () => {
  await expect(check([{ prompt: 'a', model: 'a/b' }, 'b'])).rejects.toMatchObject({
    status: 400,
    param: 'model',
    code: 'missing_required_parameter',
  });
});

it.each<[string, Partial<PromptBatch>]>([
  ['no more', {}],
  ['a long system message', { system: 'é'.repeat(1000) }],
  ['params that name what each line has', { params: { model: 'x', messages: [], n: 'x'.repeat(1000) } }],
])('says exactly how large a file would be that is too large, with %s', async (_name, more) => {
  const prompts = [
    ...Array.from({ length: 10_000 }, (_, i) => `${'y'.repeat(100)} ${i} "ü"`),
    { custom_id: 'a', prompt: 'b', model: 'longer/model' },
    { messages: [{ role: 'user', content: 'c', extra: '\ud800' }] },
  ];
  const prompted = batch(prompts, { model: 'a/b', system: 'x', ...more });
  let bytes = 0;
  for await (const chunk of promptLines(prompted)) bytes += chunk.length;
  await checkPrompts(prompted, bytes);
  await expect(checkPrompts(prompted, bytes - 1)).rejects.toMatchObject({
    status: 413,
    param: 'prompts',
    message: expect.stringMatching(new RegExp(` ${bytes} bytes.* ${bytes - 1}\\. Upload a file`)),
  });
});
