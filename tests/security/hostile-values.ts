import * as fc from 'fast-check';

/** The part of a JSON schema that OpenAPI documents of ours use. */
export interface Schema {
  readonly $ref?: string;
  readonly type?: string | readonly string[];
  readonly enum?: readonly unknown[];
  readonly const?: unknown;
  readonly anyOf?: readonly Schema[];
  readonly oneOf?: readonly Schema[];
  readonly allOf?: readonly Schema[];
  readonly items?: Schema;
  readonly properties?: Readonly<Record<string, Schema>>;
}

const hostileText = fc.oneof(
  fc.string({ unit: 'binary', maxLength: 40 }),
  fc.constantFrom('', ' ', '\u0000', '\ud800', '__proto__', 'constructor', '../../etc/passwd', '%', '*', '\r\n', 'NaN'),
  fc.constantFrom('a'.repeat(1500), '\\'.repeat(300), 'é'.repeat(300), `${' '.repeat(300)}x`, '{t-bob}:*', '1e999'),
);

const hostileKey = fc.oneof(fc.constantFrom('__proto__', 'toString', 'then', 'length', '', '$ref', '0'), hostileText);

/** Any JSON value: odd numbers, texts and keys, nested a little. */
const anyValue = fc.letrec<{ value: unknown }>((tie) => ({
  value: fc.oneof(
    { maxDepth: 4, depthSize: 'small' },
    fc.constantFrom(null, true, -0, 0, -1, 1e308, 2 ** 53, 0.1, '24h', 'batch', 'created_at'),
    hostileText,
    fc.array(tie('value'), { maxLength: 4 }),
    fc.array(fc.tuple(hostileKey, tie('value')), { maxLength: 4 }).map((entries) => Object.fromEntries(entries)),
  ),
})).value;

/** Values that a schema describes, more or less: some part of each is often wrong. */
export const valueOf = (
  schema: Schema,
  resolve: (ref: string) => Schema,
  known: readonly string[],
): fc.Arbitrary<unknown> => {
  const of = (schema: Schema, depth: number): fc.Arbitrary<unknown> => {
    if (depth > 6) return anyValue;
    const good = goodOf(schema, depth);
    return fc.oneof({ weight: 6, arbitrary: good }, { weight: 1, arbitrary: anyValue });
  };
  const goodOf = (schema: Schema, depth: number): fc.Arbitrary<unknown> => {
    if (schema.$ref !== undefined) return goodOf(resolve(schema.$ref), depth);
    if (schema.const !== undefined) return fc.constant(schema.const);
    if (schema.enum) return fc.constantFrom(...schema.enum);
    const choices = schema.anyOf ?? schema.oneOf ?? schema.allOf;
    if (choices && choices.length > 0) return fc.oneof(...choices.map((choice) => of(choice, depth)));
    switch (Array.isArray(schema.type) ? schema.type[0] : schema.type) {
      case 'string':
        return fc.oneof(hostileText, fc.constantFrom(...known));
      case 'integer':
      case 'number':
        return fc.oneof(fc.integer(), fc.double(), fc.constantFrom(1, 3600, 2 ** 31, 2 ** 53));
      case 'array':
        return fc.array(of(schema.items ?? {}, depth + 1), { maxLength: 5 });
      case 'object': {
        const fields = Object.entries(schema.properties ?? {}).map(
          ([name, field]) => [name, of(field, depth + 1)] as const,
        );
        return fc
          .tuple(
            fc.record(Object.fromEntries(fields), { requiredKeys: [] }),
            fc.option(fc.tuple(hostileKey, anyValue), { freq: 8, nil: undefined }),
          )
          .map(([object, more]) => Object.fromEntries([...Object.entries(object), ...(more ? [more] : [])]));
      }
      default:
        return anyValue;
    }
  };
  return of(schema, 0);
};

/** The text of a body: mostly the value as JSON, else broken JSON, bytes that are no UTF-8, or duplicate keys. */
export const bodyOf = (value: fc.Arbitrary<unknown>): fc.Arbitrary<Uint8Array> => {
  const whole = value.map((body) => Buffer.from(JSON.stringify(body) ?? ''));
  return fc.oneof(
    { weight: 6, arbitrary: whole },
    fc.tuple(whole, fc.nat(50)).map(([bytes, cut]) => bytes.subarray(0, Math.max(0, bytes.length - cut))),
    fc.tuple(whole, whole).map((two) => Buffer.concat(two)),
    fc.uint8Array({ maxLength: 60 }),
    fc
      .constantFrom('{"model":"a","model":{"b":1}}', '{"n":1e999}', '["\\ud800"]', '{"a":"\\u0000"}', '\ufeff{}')
      .map((json) => Buffer.from(json)),
  );
};

const headerText = fc.oneof(
  fc.string({
    unit: fc
      .integer({ min: 0x20, max: 0xff })
      .filter((code) => code !== 0x7f)
      .map((code) => String.fromCharCode(code)),
    maxLength: 300,
  }),
  fc.constantFrom(
    '*/*',
    'bytes=0-',
    'bytes=5-1',
    'bytes=-99999999999999999999',
    'bytes=0-1,3-4',
    '"x"',
    'a'.repeat(1000),
    ',,,,',
    'a,'.repeat(500),
  ),
);

const harmlessHeaders = {
  'idempotency-key': headerText,
  range: headerText,
  'if-range': headerText,
  'if-none-match': headerText,
  accept: headerText,
  'accept-encoding': headerText,
  'x-request-id': headerText,
  'x-forwarded-for': headerText,
  'x-http-method-override': headerText,
};

/** Most requests come with the right key, and a body that is what it says: else the rest of it is never looked at. */
export const hostileHeaders: fc.Arbitrary<Record<string, string>> = fc.oneof(
  { weight: 3, arbitrary: fc.record(harmlessHeaders, { requiredKeys: [] }) },
  fc.record(
    {
      ...harmlessHeaders,
      authorization: fc.oneof(
        headerText,
        headerText.map((text) => `Bearer ${text}`),
      ),
      'content-type': fc.oneof(
        headerText,
        fc.constantFrom('application/json; charset=utf-16', 'application/json; charset=x', 'application/vnd.a+json'),
        fc.constantFrom('text/plain', 'multipart/form-data', 'multipart/form-data; boundary=b'),
      ),
      'content-encoding': fc.constantFrom('gzip', 'br', 'deflate', 'identity', 'x'),
    },
    { requiredKeys: [] },
  ),
);

/** A place in a path, or a value of a query: text, escaped or in broken escapes. */
export const urlPart = (known: readonly string[]): fc.Arbitrary<string> =>
  fc.oneof(
    { weight: 4, arbitrary: fc.constantFrom(...known) },
    hostileText.map((text) => encodeURIComponent(text.toWellFormed())),
    fc.constantFrom(
      '%',
      '%E0%A4%A',
      '%00',
      '..',
      '%2e%2e%2f',
      '0',
      '-1',
      '1e3',
      '99999999999999999999',
      'true',
      '0.0',
      '9.9',
    ),
  );
