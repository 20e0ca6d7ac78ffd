import * as fc from 'fast-check';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { line } from '../../apps/api/test/support/input.ts';
import { bodyOf, hostileHeaders, type Schema, urlPart, valueOf } from './hostile-values.ts';
import type { Answer } from './send.ts';
import { startWatchedApi, type WatchedApi, type WatchedRequest } from './watched-api.ts';
import { inLongForm } from '../support/long-form.ts';

/** More of them, and others: TEST_FUZZ_REQUESTS=20000 TEST_FUZZ_SEED=2. */
const requests = Number(process.env['TEST_FUZZ_REQUESTS'] ?? (inLongForm ? 400 : 100));
const seed = Number(process.env['TEST_FUZZ_SEED'] ?? 1);
const usualBlockedMs = 50;
const mib = 2 ** 20;

interface Parameter {
  readonly name: string;
  readonly in: 'path' | 'query' | 'header';
}

interface Operation {
  readonly parameters?: readonly Parameter[];
  readonly requestBody?: { readonly content: Readonly<Record<string, { readonly schema: Schema }>> };
}

interface OpenApi {
  readonly paths: Readonly<Record<string, Readonly<Record<string, Operation>>>>;
  readonly components: { readonly schemas: Readonly<Record<string, Schema>> };
}

let api: WatchedApi;
let openApi: OpenApi;
const known: string[] = ['simulator/echo', '24h', '/v1/chat/completions', 'created_at'];

/** No worker runs: a live call waits so long, and then gets a 504. */
const patience = { 'x-promptmill-timeout': '0.05' };
const json = { 'content-type': 'application/json', ...patience };

const uploadOf = (content: string, filename = 'a.jsonl'): WatchedRequest => ({
  method: 'POST',
  path: '/v1/files',
  headers: { 'content-type': 'multipart/form-data; boundary=b' },
  body: [
    '--b\r\ncontent-disposition: form-data; name="purpose"\r\n\r\nbatch\r\n',
    `--b\r\ncontent-disposition: form-data; name="file"; filename="${filename}"\r\n\r\n${content}\r\n--b--\r\n`,
  ].join(''),
});

beforeAll(async () => {
  api = await startWatchedApi();
  const file = JSON.parse((await api.send(uploadOf(line(1)))).text) as { id: string };
  const input = { input_file_id: file.id, endpoint: '/v1/chat/completions', completion_window: '24h' };
  const created = await api.send({ method: 'POST', path: '/v1/batches', headers: json, body: JSON.stringify(input) });
  const webhook = { url: 'https://webhook.invalid/', events: ['batch.failed'] };
  const made = await api.send({ method: 'POST', path: '/v1/webhooks', headers: json, body: JSON.stringify(webhook) });
  known.push(webhook.url, file.id, ...[made, created].map(({ text }) => (JSON.parse(text) as { id: string }).id));
  openApi = JSON.parse((await api.send({ path: '/openapi.json' })).text) as OpenApi;
});
afterAll(() => api.close());

/** Fails unless an answer is as promised: no fault of the server, and an error in OpenAI's shape. */
const check = ({ status, text, headers }: Answer): void => {
  if (!text.includes('"request_timeout"')) expect(status).toBeLessThan(500);
  expect(headers['x-request-id']).toMatch(/^[\w.:-]{1,128}$/);
  if (status < 400) return;
  const { error } = JSON.parse(text) as { error: Record<string, unknown> };
  expect(error).toEqual({
    message: expect.any(String),
    type: expect.any(String),
    param: error['param'] === null ? null : expect.any(String),
    code: error['code'] === null ? null : expect.any(String),
  });
};

/** Sends a request that must not block the event loop. The first time may be the one in which code is compiled. */
const sendUnblocked = async (sent: WatchedRequest, maxBlockedMs = usualBlockedMs): Promise<void> => {
  for (let tries = 3; ; tries--) {
    await api.measure();
    check(await api.send(sent));
    const { blockedMs } = await api.measure();
    if (blockedMs <= maxBlockedMs) return;
    if (tries === 1) expect(blockedMs).toBeLessThanOrEqual(maxBlockedMs);
  }
};

const resolve = (ref: string): Schema => openApi.components.schemas[ref.slice(ref.lastIndexOf('/') + 1)] ?? {};

/** Any request of a route: its parts are hostile, or nearly right. */
const requestOf = (
  method: string,
  path: string,
  { parameters = [], requestBody }: Operation,
): fc.Arbitrary<WatchedRequest> => {
  const pathParts = fc.tuple(
    ...path.split('/').map((part) => (part.startsWith('{') ? urlPart(known) : fc.constant(part))),
  );
  const queryNames = parameters.filter((parameter) => parameter.in === 'query').map(({ name }) => name);
  const query = fc.array(fc.tuple(fc.constantFrom(...queryNames, 'x', '__proto__', 'limit'), urlPart(known)), {
    maxLength: 3,
  });
  const schema = requestBody?.content['application/json']?.schema;
  const upload = fc
    .tuple(urlPart(known), urlPart(known))
    .map(([name, content]) => uploadOf(decodeURI(content.replaceAll('%', '')), name).body);
  const body = requestBody?.content['multipart/form-data'] ? upload : bodyOf(valueOf(schema ?? {}, resolve, known));
  return fc
    .record({ parts: pathParts, query, headers: hostileHeaders, body })
    .map(({ parts, query, headers, body }) => {
      const search = query.map((pair) => pair.join('=')).join('&');
      const type = schema ? json : requestBody ? { 'content-type': 'multipart/form-data; boundary=b' } : {};
      return {
        method: method.toUpperCase(),
        path: `${parts.join('/')}${search && `?${search}`}`,
        headers: { ...type, ...headers },
        body: requestBody ? body : undefined,
      };
    });
};

it(
  'no request makes the server fail, and each error is in OpenAI’s shape',
  async () => {
    const routes = Object.entries(openApi.paths).flatMap(([path, operations]) =>
      Object.entries(operations).map(([method, operation]) => requestOf(method, path, operation)),
    );
    await fc.assert(
      fc.asyncProperty(fc.oneof(...routes), async (sent) => check(await api.send(sent))),
      { seed, numRuns: requests },
    );
  },
  60_000 + requests * 500,
);

const fill = (unit: string, bytes = mib - 1000): string => unit.repeat(Math.floor(bytes / unit.length));
const listOf = (item: string): string => fill(`${item},`).slice(0, -1);
const membersOf = (value: string): string => {
  const members: string[] = [];
  for (let bytes = 0; bytes < mib - 1000; bytes += members.at(-1)?.length ?? 0)
    members.push(`"${members.length.toString(36)}":${value},`);
  return members.join('').slice(0, -1);
};
const inline = (field: string): string => `{"model":"simulator/echo","prompts":["a"],${field}}`;
const chat = (messages: string): string => `{"model":"simulator/echo","messages":${messages}}`;
const prompts = (items: string): string => `{"model":"simulator/echo","prompts":[${items}]}`;

/** Up to 1 MiB each, and slow to parse, check, copy or complain of. */
const heavyBodies: readonly (readonly [name: string, body: string])[] = [
  ['brackets', '['.repeat(mib)],
  ['lists in lists', '['.repeat(mib / 2) + ']'.repeat(mib / 2)],
  ['objects in objects', '{"a":'.repeat(150_000) + '1' + '}'.repeat(150_000)],
  ['deep params', inline(`"params":{"a":${'['.repeat(5000)}${']'.repeat(5000)}}`)],
  ['deep metadata', inline(`"metadata":{"a":${'['.repeat(5000)}${']'.repeat(5000)}}`)],
  ['spaces', `{${' '.repeat(mib - 3)}`],
  ['one long string', `{"input_file_id":"${'a'.repeat(mib - 100)}"}`],
  ['one long string of escapes', `{"input_file_id":"${'\\u0001'.repeat(170_000)}"}`],
  ['one long window', inline(`"completion_window":"${'1'.repeat(mib - 200)}"`)],
  ['one long number', `{"input_file_id":${'9'.repeat(mib - 100)}}`],
  ['many unknown keys', `{"input_file_id":"x",${membersOf('1')}}`],
  ['30,000 unknown keys', `{"input_file_id":"x",${membersOf('1').split(',').slice(0, 30_000).join(',')}}`],
  ['many params', inline(`"params":{${membersOf('1')}}`)],
  ['30,000 params', inline(`"params":{${membersOf('1').split(',').slice(0, 30_000).join(',')}}`)],
  ['much metadata', inline(`"metadata":{${membersOf('1').split(',').slice(0, 30_000).join(',')}}`)],
  ['empty prompts', prompts(listOf('""'))],
  ['30,000 short prompts', prompts(listOf('"abcdefgh"').split(',').slice(0, 30_000).join(','))],
  ['30,000 numbers for prompts', prompts(listOf('12').split(',').slice(0, 30_000).join(','))],
  ['30,000 lists for messages', prompts(`{"messages":[${listOf('[]').split(',').slice(0, 30_000).join(',')}]}`)],
  ['one prompt of very many fields', prompts(`{${membersOf('1').split(',').slice(0, 30_000).join(',')}}`)],
  ['one long message', chat(`[{"role":"user","content":"${'a'.repeat(mib - 200)}"}]`)],
  ['one long message of escapes', chat(`[{"role":"user","content":"${'\\u0001'.repeat(170_000)}"}]`)],
  ['30,000 messages', chat(`[${listOf('{"role":"user","content":"a"}').split('},').slice(0, 30_000).join('},')}]`)],
  ['30,000 empty messages', chat(`[${listOf('{}').split(',').slice(0, 30_000).join(',')}]`)],
  ['one long prompt', prompts(`"${'a'.repeat(mib - 100)}"`)],
  [
    'two prompts with one long system message',
    `{"model":"simulator/echo","prompts":["a","b"],"system":"${'a'.repeat(mib - 200)}"}`,
  ],
  [
    'a system message in 20,000 lines',
    `{"model":"a","system":"${'b'.repeat(500_000)}","prompts":[${listOf('"c"').split(',').slice(0, 20_000).join(',')}]}`,
  ],
  ['one long URL', `{"events":["batch.failed"],"url":"https://${'a'.repeat(mib - 100)}"}`],
  [
    'one long secret',
    inline(`"promptmill":{"webhook_url":"https://a","webhook_secret":"whsec_${'A'.repeat(mib - 200)}"}`),
  ],
  ['30,000 events', `{"url":"https://a","events":[${listOf('"a"').split(',').slice(0, 30_000).join(',')}]}`],
  ['many error codes', `{"error_codes":[${listOf('1')}]}`],
  ['30,000 error codes', `{"error_codes":[${listOf('1').split(',').slice(0, 30_000).join(',')}]}`],
  ['30,000 custom_ids', `{"custom_ids":[${listOf('"a"').split(',').slice(0, 30_000).join(',')}]}`],
  [
    '10,000 custom_ids',
    `{"custom_ids":[${Array.from({ length: 10_000 }, (_, i) => `"${String(i).padEnd(90)}"`).join(',')}]}`,
  ],
];

/** What parsing alone takes on this machine, in milliseconds. */
const parseMsOf = (body: string): number => {
  const takes = Array.from({ length: 3 }, () => {
    const startedAt = performance.now();
    try {
      JSON.parse(body);
    } catch {
      // Some of them are no JSON.
    }
    return performance.now() - startedAt;
  });
  return Math.min(...takes);
};

it.each(heavyBodies)('%s: no body of up to 1 MiB blocks the event loop for over 50 ms', async (_name, body) => {
  expect(body.length).toBeLessThanOrEqual(mib);
  // On a slow machine, parsing alone takes half of that.
  const maxBlockedMs = Math.max(usualBlockedMs, 4 * parseMsOf(body));
  for (const [path, operations] of Object.entries(openApi.paths))
    if (operations['post']?.requestBody?.content['application/json'])
      await sendUnblocked(
        {
          method: 'POST',
          path: path.replace(/\{\w+\}/, known.at(-1) ?? ''),
          headers: { ...json, 'idempotency-key': 'heavy' },
          body,
        },
        maxBlockedMs,
      );
});
