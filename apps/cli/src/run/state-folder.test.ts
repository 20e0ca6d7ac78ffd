import { describe, expect, it } from 'vitest';
import { stateFolder } from './state-folder.ts';

describe('stateFolder', () => {
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
  const folder = stateFolder(run);

  it('is the same for the same input, options and output', () => {
    expect(stateFolder({ ...run, options: { ...options, model: 'simulator/echo', seed: 1 } })).toBe(folder);
  });

  it.each([
    ['input', stateFolder({ ...run, inputDigest: 'abd' })],
    ['output', stateFolder({ ...run, output: '/else.jsonl' })],
    ['model', stateFolder({ ...run, options: { ...options, model: 'xai/grok-4' } })],
    ['system', stateFolder({ ...run, options: { ...options, system: 'simulator/echo' } })],
    ['max-tokens', stateFolder({ ...run, options: { ...options, maxTokens: 1 } })],
    ['temperature', stateFolder({ ...run, options: { ...options, temperature: 1 } })],
    ['prompt', stateFolder({ ...run, options: { ...options, prompt: '{{a}}' } })],
    ['id', stateFolder({ ...run, options: { ...options, id: 'a' } })],
    ['params', stateFolder({ ...run, options: { ...options, params: { top_p: 1 } } })],
    ['limit', stateFolder({ ...run, options: { ...options, limit: 5 } })],
  ])('is another folder for another %s', (_what, other) => {
    expect(other).not.toBe(folder);
  });

  it('is the folder of an earlier version for the options that it had', () => {
    expect(folder).toBe('/data/runs/a0908a27c1a830e377233247');
  });
});
