import { expect, it } from 'vitest';
import { createResultFilter } from './result-filter.ts';

const line = (content: string, text = JSON.stringify(content)): Buffer =>
  Buffer.from(`{"id":"1","custom_id":"a","response":{"status_code":200,"body":{"text":${text}}},"error":null}`);

const found = (search: string, content: Buffer): boolean | undefined =>
  createResultFilter({ search })?.({ status: 'completed', line: content, next: '' });

it('takes all where nothing is asked for', () => {
  expect(createResultFilter({})).toBeUndefined();
  expect(createResultFilter({ search: '' })).toBeUndefined();
});

it.each([
  ['QUOTED "word"', line('a quoted "word" here')],
  ['two\nlines', line('in two\nlines')],
  ['straße', line('Hauptstraße 1')],
  ['straße', line('', '"Hauptstra\\u00dfe 1"')],
  ['日本', line('', '"\\u65e5\\u672c"')],
  ['a\\b', line('a\\b')],
])('finds %j however JSON writes it', (search, content) => {
  expect(found(search, content)).toBe(true);
  expect(found(`${search}!`, content)).toBe(false);
});
