import { expect, it } from 'vitest';
import { compileSchema } from './compile-schema.ts';

const review = {
  type: 'object',
  properties: {
    label: { enum: ['good', 'bad'] },
    stars: { type: 'integer' },
    seen: { type: 'string', format: 'date' },
  },
  required: ['label', 'stars'],
  additionalProperties: false,
};

const faultsOf = (schema: object | boolean, text: string): readonly string[] => {
  const compiled = compileSchema(schema as never);
  if ('invalid' in compiled) throw new Error(compiled.invalid);
  return compiled.findFaults(text);
};

it.each([
  ['{"label": "good", "stars": 5}', []],
  [
    '{"label": "fine", "stars": "5"}',
    ['/label must be equal to one of the allowed values: ["good","bad"]', '/stars must be integer'],
  ],
  ['{"label": "good"}', ["the whole must have required property 'stars'"]],
  ['{"label": "good", "stars": 1, "x": 1}', ['the whole must NOT have additional properties: x']],
  ['{"label": "good", "stars": 1, "seen": "soon"}', ['/seen must match format "date"']],
  ['Good!', [expect.stringContaining('it is not JSON: ')]],
])('says all that is wrong with %s', (text, faults) => {
  expect(faultsOf(review, text)).toEqual(faults);
});

it('knows draft 2020-12, and draft-07 where a schema says so', () => {
  const pair = { items: [{ type: 'string' }] };
  expect(faultsOf({ prefixItems: pair.items }, '[1]')).toEqual(['/0 must be string']);
  expect(faultsOf({ $schema: 'http://json-schema.org/draft-07/schema#', ...pair }, '[1]')).toEqual([
    '/0 must be string',
  ]);
  expect(compileSchema(pair)).toEqual({ invalid: expect.stringContaining('/items must be') as string });
});

it.each([
  [{ properties: { a: { type: 'strin' } } }, '/properties/a/type must be equal to one of the allowed values'],
  [{ properties: { a: { pattern: '(' } } }, 'Invalid regular expression: /(/u'],
  [{ $ref: 'https://example.com/other.json' }, "can't resolve reference https://example.com/other.json"],
  [{ $ref: '#/$defs/none' }, "can't resolve reference #/$defs/none"],
])('%j is no schema, and it says where', (schema, fault) => {
  expect(compileSchema(schema)).toEqual({ invalid: expect.stringContaining(fault) as string });
});

it('finds nothing of another schema by its $id', () => {
  const named = { $defs: { a: { $id: 'https://example.com/a', type: 'string' } }, $ref: 'https://example.com/a' };
  expect(faultsOf(named, '1')).toEqual(['the whole must be string']);
  expect(compileSchema({ $ref: 'https://example.com/a' })).toHaveProperty('invalid');
  expect(faultsOf({ ...named, $defs: { a: { $id: 'https://example.com/a', type: 'number' } } }, '1')).toEqual([]);
});

it('a schema cannot run code, and an asynchronous one does not pass everything', () => {
  const name = `"];globalThis.pwned=true;//'\`\${globalThis.pwned=true}`;
  faultsOf({ properties: { [name]: { const: name } }, required: [name], $comment: name }, '{}');
  expect(globalThis).not.toHaveProperty('pwned');
  expect(faultsOf({ $async: true, type: 'string' }, '1')).toEqual(['the whole must be string']);
});
