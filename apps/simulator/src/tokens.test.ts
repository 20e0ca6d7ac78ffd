import { expect, test } from 'vitest';
import { countTokens, limitTokens } from './tokens.ts';

test('four characters are a token, rounded up', () => {
  expect([countTokens(''), countTokens('a'), countTokens('abcd'), countTokens('abcde')]).toEqual([0, 1, 1, 2]);
});

test('a text within the limit stays whole', () => {
  expect(limitTokens('abcdefgh', 2)).toEqual({ text: 'abcdefgh', tokens: 2, finishReason: 'stop' });
  expect(limitTokens('abcdefgh', undefined).finishReason).toBe('stop');
});

test('a text over the limit is cut to it', () => {
  expect(limitTokens('abcdefghi', 2)).toEqual({ text: 'abcdefgh', tokens: 2, finishReason: 'length' });
});

test('a cut never leaves half a surrogate pair', () => {
  expect(limitTokens('abc😀😀', 1).text).toBe('abc');
});
