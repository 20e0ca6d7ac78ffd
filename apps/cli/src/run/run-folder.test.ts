import { describe, expect, it } from 'vitest';
import { runFolder } from './run-folder.ts';

describe('runFolder', () => {
  const options = {
    completionWindow: '24h',
    model: 'simulator/echo',
    prompt: undefined,
    system: undefined,
    endpoint: undefined,
    params: undefined,
    schema: undefined,
  };
  const run = { dataDirectory: '/data', inputDigest: 'abc', options, output: '/out.jsonl' };
  const folder = runFolder(run);

  it('is the same for the same input, options and output', () => {
    expect(runFolder({ ...run, options: { ...options, model: 'simulator/echo', seed: 1 } })).toBe(folder);
  });

  it.each([
    ['input', runFolder({ ...run, inputDigest: 'abd' })],
    ['output', runFolder({ ...run, output: '/else.jsonl' })],
    ['model', runFolder({ ...run, options: { ...options, model: 'xai/grok-4' } })],
    ['system', runFolder({ ...run, options: { ...options, system: 'simulator/echo' } })],
    ['max-tokens', runFolder({ ...run, options: { ...options, maxTokens: 1 } })],
    ['temperature', runFolder({ ...run, options: { ...options, temperature: 1 } })],
    ['prompt', runFolder({ ...run, options: { ...options, prompt: '{{a}}' } })],
    ['id', runFolder({ ...run, options: { ...options, id: 'a' } })],
    ['params', runFolder({ ...run, options: { ...options, params: { top_p: 1 } } })],
    ['limit', runFolder({ ...run, options: { ...options, limit: 5 } })],
  ])('is another folder for another %s', (_what, other) => {
    expect(other).not.toBe(folder);
  });

  it('is the folder of an earlier version for the options that it had', () => {
    expect(folder).toBe('/data/runs/a0908a27c1a830e377233247');
  });
});
