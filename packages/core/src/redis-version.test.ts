import { expect, test } from 'vitest';
import { isRedisSupported } from './redis-version.ts';

test.each([
  ['7.0.0', true],
  ['7.2.4', true],
  ['8.0.1', true],
  ['10.1.0', true],
  ['6.2.14', false],
  ['5.0.0', false],
  ['', false],
])('%j is supported: %s', (version, isSupported) => expect(isRedisSupported(version)).toBe(isSupported));
