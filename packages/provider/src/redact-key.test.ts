import { expect, it } from 'vitest';
import { createKeyRedactor } from './redact-key.ts';

it('takes the key out of texts and of values at any depth', () => {
  const redact = createKeyRedactor('sk-"secret"/1');
  expect(redact('bad key sk-"secret"/1, again: sk-"secret"/1')).toBe('bad key [redacted], again: [redacted]');
  expect(redact({ error: { list: ['x sk-"secret"/1'] }, n: 1 })).toEqual({ error: { list: ['x [redacted]'] }, n: 1 });
});

it('leaves placeholders for a key alone', () => {
  const redact = createKeyRedactor('ollama');
  expect(redact('ollama is busy')).toBe('ollama is busy');
  expect(createKeyRedactor(undefined)('as it is')).toBe('as it is');
});

it('replaces a value that it cannot search by null', () => {
  let deep: unknown = 'sk-"secret"/1';
  for (let depth = 0; depth < 100_000; depth++) deep = [deep];
  expect(createKeyRedactor('sk-"secret"/1')(deep)).toBeNull();
});
