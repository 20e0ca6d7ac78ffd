import { expect, it } from 'vitest';
import { parseDisposition } from './parse-disposition.ts';

it.each([
  ['form-data; name="file"; filename="a.jsonl"', 'a.jsonl'],
  ['Form-Data; NAME="file"; FILENAME="a.jsonl"', 'a.jsonl'],
  ['form-data;name=file;filename=a.jsonl', 'a.jsonl'],
  ['form-data; name="file"', undefined],
  ['form-data; name="file"; filename=""', ''],
  ['form-data; name="file"; filename="ü 🎉.jsonl"', 'ü 🎉.jsonl'],
  // Browsers, fetch and curl.
  ['form-data; name="file"; filename="a%22b%0D%0ac.jsonl"', 'a"b\r\nc.jsonl'],
  ['form-data; name="file"; filename="100%25.jsonl"', '100%25.jsonl'],
  [String.raw`form-data; name="file"; filename="a\b.jsonl"`, String.raw`a\b.jsonl`],
  [String.raw`form-data; name="file"; filename="\\server\a.jsonl"`, String.raw`\\server\a.jsonl`],
  ['form-data; name="file"; filename="a\\"', 'a\\'],
  ['form-data; filename="a\\"; name="file"', 'a\\'],
  // The Python SDK, `curl --form-escape` and older curl.
  [String.raw`form-data; name="file"; filename="a\\b.jsonl"`, String.raw`a\b.jsonl`],
  [String.raw`form-data; name="file"; filename="a\\"`, 'a\\'],
  [String.raw`form-data; name="file"; filename="a\"b\"; x=c.jsonl"`, 'a"b"; x=c.jsonl'],
  // RFC 8187.
  [`form-data; name="file"; filename="a.jsonl"; filename*=UTF-8''%C3%BC%2522.jsonl`, 'ü%22.jsonl'],
  [`form-data; filename*=utf-8'de'%C3%BC.jsonl; name="file"; filename="a.jsonl"`, 'ü.jsonl'],
  [`form-data; name="file"; filename*=ISO-8859-1''%FC.jsonl`, 'ü.jsonl'],
  [`form-data; name="file"; filename="a.jsonl"; filename*=UTF-8''%FC.jsonl`, 'a.jsonl'],
  [`form-data; name="file"; filename="a.jsonl"; filename*=koi8-r''x`, 'a.jsonl'],
  // The first of two counts.
  ['form-data; name="file"; name="other"; filename="a"; filename="b"', 'a'],
  ['form-data; name="file"; filename="a; name=x; filename=b"', 'a; name=x; filename=b'],
  ['form-data; name="file"; filename="not ended', 'not ended'],
])('%s', (header, filename) => {
  expect(parseDisposition(header)).toEqual({ name: 'file', ...(filename === undefined ? {} : { filename }) });
});

it.each(['', 'attachment; filename="a"', 'form-data-x; name="file"'])('%j is none of a form', (header) => {
  expect(parseDisposition(header)).toBeUndefined();
});

it('takes a time that grows with the length of the header only', () => {
  const startedAt = performance.now();
  for (const hostile of ['"; ', '\\', '\\"; ', 'a="', '; a=', ' '])
    parseDisposition(`form-data; name="${hostile.repeat(8192 / hostile.length)}`);
  expect(performance.now() - startedAt).toBeLessThan(200);
});
