import type { IncomingHttpHeaders } from 'node:http';
import { expect, test } from 'vitest';
import { patienceMsOf } from './patience.ts';

test.each<[string, IncomingHttpHeaders, number]>([
  ['10 minutes where nothing is said', {}, 599_000],
  ['as the client for Node says', { 'x-stainless-timeout': '30' }, 29_000],
  ['as the client for Python says', { 'x-stainless-read-timeout': '30.0' }, 29_000],
  ['as our own header says before all', { 'x-promptmill-timeout': '0.5', 'x-stainless-timeout': '30' }, 475],
  ['10 minutes where a client says nonsense', { 'x-stainless-timeout': 'NOT_GIVEN' }, 599_000],
  ['10 minutes where a client has no limit', { 'x-stainless-read-timeout': 'None' }, 599_000],
])('a caller waits %s', (_, headers, waitsMs) => {
  expect(patienceMsOf(headers)).toBe(waitsMs);
});

test.each(['0', '-1', 'soon', '', '1e9'])('the header of ours may not be %j', (value) => {
  expect(() => patienceMsOf({ 'x-promptmill-timeout': value })).toThrow(/X-Promptmill-Timeout must be/);
});
