import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { keyless } from '../../apps/api/test/support/test-api.ts';
import { type Caller, type SecuritySpace, startSecuritySpace } from './security-space.ts';

const post = { method: 'POST', headers: { 'content-type': 'application/json' }, body: '{}' };
const closedPaths = ['/v1/files', '/v1/lanes', '/metrics', '/openapi.json', '/docs/', '/admin/queues', '/v1/nothing'];

const codeOf = (text: string): unknown => (JSON.parse(text) as { error: { code: unknown } }).error.code;

describe('an api without keys', () => {
  let space: SecuritySpace;
  let own: string;

  beforeAll(async () => {
    space = await startSecuritySpace({
      env: { ...keyless, PROMPTMILL_TRUST_PROXY: undefined, PROMPTMILL_ALLOWED_HOSTS: 'mill.example.com' },
    });
    own = new URL(space.api.url).host;
  });
  afterAll(() => space.api.close());

  const refusal = async (path: string, headers: Readonly<Record<string, string>>, sent = {}) => {
    const { status, text } = await space.send(path, { ...sent, headers });
    return [status, codeOf(text)];
  };

  it.each(closedPaths)('does not serve %s by a name that a foreign page made to mean this machine', async (path) => {
    expect(await refusal(path, { host: 'evil.example:3000' })).toEqual([403, 'host_not_allowed']);
  });

  it('says which variable makes it serve a name', async () => {
    const { text } = await space.send('/v1/files', { headers: { host: 'evil.example' } });
    expect(text).toContain('PROMPTMILL_ALLOWED_HOSTS');
  });

  it.each(['localhost', 'mill.localhost:8080', '127.0.0.1', '[::1]:3000', 'mill.example.com'])(
    'serves the name %s',
    async (host) => expect((await space.send('/v1/files', { headers: { host } })).status).toBe(200),
  );

  it.each(['/livez', '/readyz'])('answers health checks of %s by any name', async (path) => {
    expect((await space.send(path, { headers: { host: '10.0.0.5:3000' } })).status).toBe(200);
  });

  it.each(['x-forwarded-for', 'x-forwarded-host', 'x-forwarded-proto', 'x-real-ip', 'forwarded'])(
    'serves nothing that comes through a proxy, by its header %s',
    async (name) => {
      for (const path of closedPaths)
        expect(await refusal(path, { [name]: 'evil.example' })).toEqual([403, 'proxy_without_api_keys']);
    },
  );

  it.each([
    { origin: 'https://evil.example' },
    { origin: 'null' },
    { origin: 'http://localhost:1' },
    { 'sec-fetch-site': 'cross-site' },
    { 'sec-fetch-site': 'same-site' },
  ])('changes nothing for a foreign page: %o', async (headers) => {
    for (const path of ['/v1/batches', '/v1/files', '/v1/batches/batch_0/cancel'])
      expect(await refusal(path, { ...post.headers, ...headers }, post)).toEqual([403, 'origin_not_allowed']);
    const deletion = { method: 'DELETE' };
    expect(await refusal('/v1/files/file-0', headers, deletion)).toEqual([403, 'origin_not_allowed']);
  });

  it.each(['no-cors', 'cors', 'navigate'])('is not read by a foreign page, mode %s', async (mode) => {
    const headers = { 'sec-fetch-site': 'cross-site', 'sec-fetch-mode': mode, 'sec-fetch-dest': 'iframe' };
    for (const path of closedPaths) expect(await refusal(path, headers)).toEqual([403, 'origin_not_allowed']);
  });

  it('serves a link that a person follows, its own pages, and programs', async () => {
    const link = { 'sec-fetch-site': 'cross-site', 'sec-fetch-mode': 'navigate', 'sec-fetch-dest': 'document' };
    expect((await space.send('/docs/', { headers: link })).status).toBe(200);
    const ownPage = { ...post.headers, origin: `http://${own}`, 'sec-fetch-site': 'same-origin' };
    const proxiedPage = { ...post.headers, origin: 'https://mill.example.com' };
    // Each is a batch without anything that it needs.
    for (const headers of [ownPage, proxiedPage, post.headers])
      expect((await space.send('/v1/batches', { ...post, headers })).status).toBe(400);
  });
});

describe('an api with keys', () => {
  let space: SecuritySpace;

  beforeAll(async () => {
    space = await startSecuritySpace({ env: { BOARD_USER: undefined, BOARD_PASSWORD: undefined } });
  });
  afterAll(() => space.api.close());

  it('serves any name and through a proxy, but changes nothing for a foreign page', async () => {
    const headers = { host: 'mill.example.com', 'x-forwarded-for': '10.0.0.5' };
    expect((await space.sendAs('owner', '/v1/files', { headers })).status).toBe(200);
    const foreign = { ...post, headers: { ...post.headers, origin: 'https://evil.example' } };
    expect((await space.sendAs('owner', '/v1/batches', foreign)).status).toBe(403);
  });

  it.each(['/admin/queues', '/admin/queues/', '/admin/queues/api/queues', '/ADMIN/queues/api/queues'])(
    'has no Board without a login: %s',
    async (path) => {
      for (const caller of ['none', 'owner'] satisfies Caller[]) {
        const { status, text } = await space.sendAs(caller, path);
        expect([status, codeOf(text)]).toEqual([404, 'unknown_url']);
        expect(text).toContain('BOARD_USER and BOARD_PASSWORD');
      }
    },
  );
});
