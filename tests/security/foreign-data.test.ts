import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { board } from '../../apps/api/test/support/test-api.ts';
import { type Caller, type SecuritySpace, startSecuritySpace } from './security-space.ts';
import type { SentRequest } from './send.ts';

let space: SecuritySpace;
let owners: { fileId: string; batchId: string; responseId: string; webhookId: string };

beforeAll(async () => {
  space = await startSecuritySpace();
  owners = await space.ownersData();
});
afterAll(() => space.api.close());

interface Listed {
  readonly id: string;
  readonly data: readonly { readonly id: string }[];
}

const read = async (caller: Caller, path: string, sent?: SentRequest) => {
  const { status, text } = await space.sendAs(caller, path, sent);
  return { status, text, body: JSON.parse(text) as Listed };
};

describe('another tenant', () => {
  it.each(['/v1/files', '/v1/batches', '/v1/webhooks'])('finds nothing of the owner in %s', async (path) => {
    const idsOf = async (caller: Caller) => (await read(caller, path)).body.data.map(({ id }) => id);
    expect(await idsOf('owner')).toHaveLength(1);
    expect(await idsOf('other')).toEqual([]);
  });

  it.each(['/v1/files', '/v1/batches'])('cannot page through %s from an id that is not its own', async (path) => {
    const id = path === '/v1/files' ? owners.fileId : owners.batchId;
    const strange = await read('other', `${path}?after=${id}`);
    const missing = await read('other', `${path}?after=${id.slice(0, -4)}0000`);
    // The answer does not tell whether the id exists.
    expect([strange.status, strange.text.replace(id, '')]).toEqual([
      missing.status,
      missing.text.replace(`${id.slice(0, -4)}0000`, ''),
    ]);
  });

  it.each([
    ['/v1/batches', { prompts: ['hello'] }],
    ['/v1/responses', { input: 'hello', background: true }],
  ])('makes something of its own under the Idempotency-Key of somebody else: %s', async (path, body) => {
    const sent = {
      method: 'POST',
      headers: { 'content-type': 'application/json', 'idempotency-key': 'nightly-1120' },
      body: JSON.stringify({ model: 'simulator/echo', ...body }),
    };
    const made = await read('owner', path, sent);
    const others = await read('other', path, sent);
    expect([made.status, others.status]).toEqual([200, 200]);
    expect(others.body.id).not.toBe(made.body.id);
    expect((await read('owner', path, sent)).body.id).toBe(made.body.id);
    const idsOfOwner = (await read('owner', '/v1/batches')).body.data.map(({ id }) => id);
    expect(idsOfOwner).not.toContain(others.body.id);
  });

  it.each([
    ['/v1/files/', 'fileId'],
    ['/v1/batches/', 'batchId'],
    ['/v1/responses/', 'responseId'],
    ['/v1/webhooks/', 'webhookId'],
  ] as const)('is told the same of an id of somebody else as of none: %s', async (path, kind) => {
    const id = owners[kind];
    const none = `${id.slice(0, -4)}0000`;
    const [strange, missing] = [await read('other', path + id), await read('other', path + none)];
    expect([strange.status, strange.text]).toEqual([missing.status, missing.text.replace(none, id)]);
  });
});

describe('caches', () => {
  const login = { authorization: `Basic ${btoa(`${board.user}:${board.password}`)}` };

  it.each([
    ['/v1/files', {}],
    ['/v1/files/{file_id}', {}],
    ['/v1/files/{file_id}/content', {}],
    ['/v1/batches/{batch_id}', {}],
    ['/v1/batches/{batch_id}/events', {}],
    ['/v1/nothing', {}],
    ['/metrics', {}],
    ['/admin/queues/api/queues', login],
    ['/admin/queues', {}],
  ])('keep no answer of %s', async (path, headers) => {
    const filled = path.replace('{file_id}', owners.fileId).replace('{batch_id}', owners.batchId);
    const answer = await space.sendAs('owner', filled, { headers });
    expect(answer.headers['cache-control']).toMatch(/^no-store/);
  });

  it('may keep the files of a page', async () => {
    const answer = await space.send('/docs/swagger-ui.css');
    expect(answer.headers['cache-control']).not.toContain('no-store');
  });
});

it.each(['/v1/files', '/docs/', '/admin/queues', '/admin/queues/api/queues', '/openapi.json'])(
  '%s does not say what serves it',
  async (path) => {
    const headers = { authorization: `Basic ${btoa(`${board.user}:${board.password}`)}` };
    const { headers: answered } = path.startsWith('/admin')
      ? await space.send(path, { headers })
      : await space.sendAs('owner', path);
    expect(answered).not.toHaveProperty('x-powered-by');
    expect(answered).not.toHaveProperty('server');
  },
);
