import { describe, expect, it } from 'vitest';
import { runFolder } from './run-folder.ts';

describe('runFolder', () => {
  const options = { completionWindow: '24h', model: 'simulator/echo' };
  const run = { dataDirectory: '/data', inputDigest: 'abc', options, output: '/out.jsonl' };
  const folder = runFolder(run);

  it('is the same for the same input, options and output', () => {
    expect(runFolder({ ...run, options: { model: 'simulator/echo', completionWindow: '24h' } })).toBe(folder);
  });

  it.each([
    ['input', runFolder({ ...run, inputDigest: 'abd' })],
    ['output', runFolder({ ...run, output: '/else.jsonl' })],
    ['model', runFolder({ ...run, options: { ...options, model: 'xai/grok-4' } })],
    ['system', runFolder({ ...run, options: { ...options, system: 'simulator/echo' } })],
    ['max-tokens', runFolder({ ...run, options: { ...options, maxTokens: 1 } })],
    ['temperature', runFolder({ ...run, options: { ...options, temperature: 1 } })],
  ])('is another folder for another %s', (_what, other) => {
    expect(other).not.toBe(folder);
  });
});
