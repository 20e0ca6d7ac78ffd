import { expect, it } from 'vitest';
import { batchJobName } from './batch-job-name.ts';

const summary = { requests: 1500, problemCount: 0, problems: [] };
const input = { filename: 'prompts.jsonl', summary } as unknown as Parameters<typeof batchJobName>[1];

it.each([
  [null, input, 'prompts.jsonl · 1,500 requests'],
  [{ name: 'Nightly' }, input, 'Nightly · 1,500 requests'],
  [{ description: 'Reviews of May' }, input, 'Reviews of May · 1,500 requests'],
  [{ other: 'x' }, { filename: 'a.jsonl' }, 'a.jsonl'],
  [null, undefined, 'batch_1'],
  [{ name: 'n'.repeat(200) }, undefined, 'n'.repeat(100)],
])('a batch with the metadata %o is named after it or its input', (metadata, file, name) => {
  expect(batchJobName({ id: 'batch_1', metadata }, file)).toBe(name);
});
