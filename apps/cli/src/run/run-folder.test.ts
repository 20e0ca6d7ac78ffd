import { describe, expect, it } from 'vitest';
import { runFolder } from './run-folder.ts';

describe('runFolder', () => {
  const options = { completionWindow: '24h', model: 'simulator/echo' };
  const folder = runFolder('/data', 'abc', options, '/out.jsonl');

  it('is the same for the same input, options and output', () => {
    expect(runFolder('/data', 'abc', { model: 'simulator/echo', completionWindow: '24h' }, '/out.jsonl')).toBe(folder);
  });

  it.each([
    ['input', runFolder('/data', 'abd', options, '/out.jsonl')],
    ['output', runFolder('/data', 'abc', options, '/else.jsonl')],
    ['model', runFolder('/data', 'abc', { ...options, model: 'xai/grok-4' }, '/out.jsonl')],
    ['system', runFolder('/data', 'abc', { ...options, system: 'simulator/echo' }, '/out.jsonl')],
    ['max-tokens', runFolder('/data', 'abc', { ...options, maxTokens: 1 }, '/out.jsonl')],
    ['temperature', runFolder('/data', 'abc', { ...options, temperature: 1 }, '/out.jsonl')],
  ])('is another with another %s', (_what, other) => {
    expect(other).not.toBe(folder);
  });
});
