import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import { endpoints } from './endpoints.ts';
import { maxCustomIdLength, maxLineDepth, maxModelLength, parseRequestLine, readCheckedLine } from './request-line.ts';

const good = {
  custom_id: 'a',
  method: 'POST',
  url: '/v1/chat/completions',
  body: { model: 'xai/grok-4', messages: [{ role: 'user', content: 'Hello' }] },
};

const line = (more: Readonly<Record<string, unknown>> = {}): string => JSON.stringify({ ...good, ...more });
const withBody = (more: Readonly<Record<string, unknown>>): string => line({ body: { ...good.body, ...more } });
const nested = (depth: number): string =>
  withBody({ x: 0 }).replace('"x":0', `"x":${'['.repeat(depth)}${']'.repeat(depth)}`);

const file = { type: 'file', file: { file_id: 'file-1' } };
const withFile = { messages: [{ role: 'user', content: [{ type: 'text', text: 'Read' }, file] }] };
const withInputFile = { input: [{ role: 'user', content: [{ type: 'input_file', file_id: 'file-1' }] }] };

test('a valid line gives its request', () => {
  expect(parseRequestLine(line())).toEqual({
    ok: true,
    request: { customId: 'a', url: '/v1/chat/completions', body: good.body },
  });
});

test.each<[string, string]>([
  ...endpoints.map((url): [string, string] => [`the endpoint ${url}`, line({ url })]),
  ['the longest custom_id', line({ custom_id: 'x'.repeat(maxCustomIdLength) })],
  ['the longest model', withBody({ model: 'x'.repeat(maxModelLength) })],
  ['many lists that do not nest', withBody({ x: Array.from({ length: 200 }, () => []) })],
  ['unknown fields beside the known', line({ note: 'mine' })],
  ['white space around it', `  ${line()}\t`],
  ['n above 1 without a file', withBody({ n: 2 })],
  ['a file without n', withBody(withFile)],
  ['a file with n of 1', withBody({ ...withFile, n: 1 })],
  ['messages of any shape', withBody({ n: 2, messages: [null, 'text', { content: [null, 'part', {}] }] })],
  ['the deepest nesting', nested(maxLineDepth - 2)],
])('%s: the line is valid', (_, text) => {
  expect(parseRequestLine(text)).toMatchObject({ ok: true });
});

test.each([
  ['no JSON', '{"custom_id":', 'invalid_json_line', null],
  ['nothing', '', 'invalid_json_line', null],
  ['two objects', `${line()}${line()}`, 'invalid_json_line', null],
  ['an array', '[]', 'invalid_json_line', null],
  ['null', 'null', 'invalid_json_line', null],
  ['a string', '"text"', 'invalid_json_line', null],
  ['one nesting too deep', nested(maxLineDepth - 1), 'invalid_json_line', null],
  ['nesting that is too deep for JSON.stringify', nested(100_000), 'invalid_json_line', null],
  ['no custom_id', line({ custom_id: undefined }), 'missing_required_parameter', 'custom_id'],
  ['a number as custom_id', line({ custom_id: 1 }), 'invalid_type', 'custom_id'],
  ['an empty custom_id', line({ custom_id: '' }), 'invalid_type', 'custom_id'],
  ['a custom_id too long', line({ custom_id: 'x'.repeat(513) }), 'string_above_max_length', 'custom_id'],
  ['a model too long', withBody({ model: 'x'.repeat(257) }), 'string_above_max_length', 'body.model'],
  ['no method', line({ method: undefined }), 'missing_required_parameter', 'method'],
  ['GET', line({ method: 'GET' }), 'invalid_method', 'method'],
  ['a method in small letters', line({ method: 'post' }), 'invalid_method', 'method'],
  ['no url', line({ url: undefined }), 'missing_required_parameter', 'url'],
  ['another endpoint', line({ url: '/v1/images' }), 'invalid_url', 'url'],
  ['a whole URL', line({ url: 'https://api.x.ai/v1/chat/completions' }), 'invalid_url', 'url'],
  ['null as url', line({ url: null }), 'invalid_url', 'url'],
  ['no body', line({ body: undefined }), 'missing_required_parameter', 'body'],
  ['an array as body', line({ body: [] }), 'invalid_type', 'body'],
  ['null as body', line({ body: null }), 'invalid_type', 'body'],
  ['no model', line({ body: {} }), 'missing_required_parameter', 'body.model'],
  ['an empty model', withBody({ model: '' }), 'invalid_type', 'body.model'],
  ['null as model', withBody({ model: null }), 'invalid_type', 'body.model'],
  ['n of 2 with a file', withBody({ ...withFile, n: 2 }), 'unsupported_value', 'body.n'],
  ['n of 2 with a file as input', withBody({ ...withInputFile, n: 2 }), 'unsupported_value', 'body.n'],
])('%s: the line is refused', (_, text, code, param) => {
  expect(parseRequestLine(text)).toEqual({ ok: false, problem: { code, message: expect.any(String), param } });
});

test('no message repeats what the line says', () => {
  const secret = 'sk-0123456789';
  for (const text of [
    `{"key":"${secret}`,
    line({ url: secret }),
    line({ method: secret }),
    withBody({ model: [secret] }),
  ])
    expect(JSON.stringify(parseRequestLine(text))).not.toContain(secret);
});

/** Mostly valid values, so that whole lines are valid often enough. */
const mostly = (arbitrary: fc.Arbitrary<unknown>) =>
  fc.oneof(
    { arbitrary, weight: 9 },
    { arbitrary: fc.jsonValue(), weight: 1 },
    { arbitrary: fc.constant(undefined), weight: 1 },
  );

const anyFields = fc.record({
  custom_id: mostly(fc.string({ minLength: 1 })),
  method: mostly(fc.constant('POST')),
  url: mostly(fc.constantFrom(...endpoints)),
  body: mostly(fc.record({ model: mostly(fc.string({ minLength: 1 })), n: fc.nat(2), messages: fc.jsonValue() })),
});

/** What a valid line says. */
const saidBy = (text: string) => {
  const { custom_id: customId, url, body, method } = JSON.parse(text) as Record<string, unknown>;
  return { ok: method === 'POST', request: { customId, url, body } };
};

const aProblem = {
  ok: false,
  problem: {
    code: expect.stringMatching(/^[a-z_]+$/),
    message: expect.any(String),
    param: expect.toBeOneOf([null, expect.any(String)]),
  },
};

test('any text gives the request that it says, or a problem', () => {
  const anyText = fc.oneof(
    fc.string({ unit: 'binary' }),
    fc.json(),
    anyFields.map((fields) => JSON.stringify(fields)),
  );
  fc.assert(
    fc.property(anyText, (text) => {
      const parsed = parseRequestLine(text);
      expect(parsed).toEqual(parsed.ok ? saidBy(text) : aProblem);
    }),
  );
});

test('a checked line gives its request, and undefined once it has become another text', () => {
  expect(readCheckedLine(line())).toEqual({ customId: 'a', url: '/v1/chat/completions', body: good.body });
  const changed = ['{', '[]', 'null', line({ custom_id: 1 }), line({ url: '/v1/images' }), line({ body: null })];
  for (const text of [...changed, withBody({ model: undefined })]) expect(readCheckedLine(text)).toBeUndefined();
});
