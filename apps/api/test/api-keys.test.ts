import path from 'node:path';
import { fileKey, newApiKey, newFileId } from '@promptmill/core';
import { createApiKeyStore } from '@promptmill/files';
import { createApiKeysVersion, createFileRecords } from '@promptmill/queue';
import { afterAll, beforeAll, describe, expect, inject, it } from 'vitest';
import { startDurableRedis } from '../../../tests/support/local-redis.ts';
import { inLongForm } from '../../../tests/support/long-form.ts';
import { startTcpProxy } from '../../../tests/support/tcp-proxy.ts';
import { inputFile, lines } from './support/input.ts';
import { keyless, keys as environmentKeys, startTestApi, type TestApi } from './support/test-api.ts';

/** Each question comes from an address of its own: those of one address that are refused are soon answered slowly. */
const env = { PROMPTMILL_TRUST_PROXY: 'loopback' };
let addresses = 0;
const seconds = (): number => Math.floor(Date.now() / 1000);

/** What `promptmill keys` does. */
const openKeys = ({ files, redis, keys }: TestApi) => {
  const store = createApiKeyStore(files);
  const version = createApiKeysVersion(redis, keys);
  return {
    async create(tenant: string, more: { admin?: boolean; expiresAt?: number } = {}, tell = true) {
      const { key, record } = newApiKey({ tenant, admin: false, createdAt: seconds(), ...more });
      await store.put(record);
      if (tell) await version.change();
      return { key, prefix: record.prefix };
    },
    async revoke(prefix: string): Promise<void> {
      await store.revoke(prefix, seconds());
      await version.change();
    },
  };
};

const ask = async (url: string, key: string, path = '/v1/files') => {
  const address = `10.0.${addresses >> 8}.${addresses++ & 255}`;
  const headers = { authorization: `Bearer ${key}`, 'x-forwarded-for': address };
  const response = await fetch(url + path, { headers });
  const body = (await response.json()) as { readonly error?: { readonly message: string } };
  return { status: response.status, message: body.error?.message };
};

/** Only the long form holds it to the second: the short form also runs on machines too busy for that. */
const withinASecond = { timeout: inLongForm ? 1000 : 15_000, interval: 20 };

/** Opens the event stream of a new batch. `ended` resolves when the server ends it. */
const watchBatch = async (url: string, headers: Readonly<Record<string, string>>) => {
  const form = new FormData();
  form.set('purpose', 'batch');
  form.set('file', await inputFile(lines(1)));
  const file = (await (await fetch(`${url}/v1/files`, { method: 'POST', body: form, headers })).json()) as {
    id: string;
  };
  const made = await fetch(`${url}/v1/batches`, {
    method: 'POST',
    headers: { ...headers, 'content-type': 'application/json' },
    body: JSON.stringify({ input_file_id: file.id, endpoint: '/v1/chat/completions', completion_window: '24h' }),
  });
  const { id } = (await made.json()) as { id: string };
  const stream = await fetch(`${url}/v1/batches/${id}/events`, { headers });
  return { status: stream.status, ended: stream.text() };
};

describe('stored keys, of two apis', () => {
  let api: TestApi;
  let other: TestApi;
  let operator: ReturnType<typeof openKeys>;

  beforeAll(async () => {
    api = await startTestApi({ redisUrl: inject('redisUrl'), env });
    other = await startTestApi({ redisUrl: inject('redisUrl'), env: { ...env, ...api.shared } });
    operator = openKeys(api);
  });
  afterAll(async () => {
    await other.close();
    await api.close();
  });

  it('open both within a second, and are refused by both within a second of their revocation', async () => {
    const { key, prefix } = await operator.create('carol');
    for (const { url } of [api, other])
      await expect.poll(() => ask(url, key), withinASecond).toMatchObject({ status: 200 });
    expect(await ask(api.url, environmentKeys.alice)).toMatchObject({ status: 200 });

    await operator.revoke(prefix);
    for (const { url } of [api, other])
      await expect
        .poll(() => ask(url, key), withinASecond)
        .toEqual({ status: 401, message: 'This API key has been revoked.' });
  });

  it('are each kept when many are created at once, by their digest alone', async () => {
    const created = await Promise.all(Array.from({ length: 20 }, (_, i) => operator.create(`tenant-${i}`)));
    for (const { key } of created)
      await expect.poll(() => ask(other.url, key), withinASecond).toMatchObject({ status: 200 });
    const contents = await Promise.all(
      (await api.stored())
        .filter((name) => name.startsWith('api-keys/'))
        .map(async (name) => Buffer.concat(await Array.fromAsync(await api.files.get(name))).toString()),
    );
    for (const { key, prefix } of created) {
      expect(contents.join('')).toContain(prefix);
      expect(contents.join('')).not.toContain(key.slice(prefix.length + 1));
    }
  });

  it('end the event streams of those who use them, when they are revoked or expire', async () => {
    for (const end of ['revoke', 'expire'] as const) {
      const expiry = end === 'expire' ? { expiresAt: seconds() + 3 } : {};
      const { key, prefix } = await operator.create('dora', expiry);
      await expect.poll(() => ask(other.url, key), withinASecond).toMatchObject({ status: 200 });
      const { status, ended } = await watchBatch(other.url, { authorization: `Bearer ${key}` });
      expect(status).toBe(200);
      if (end === 'revoke') await operator.revoke(prefix);
      expect(await ended).not.toContain('event: done');
      expect(await ask(other.url, key)).toMatchObject({ status: 401 });
    }
  });

  it('cut the uploads and downloads of those who use them, when they are revoked', async () => {
    const { key, prefix } = await operator.create('erin');
    await expect.poll(() => ask(other.url, key), withinASecond).toMatchObject({ status: 200 });
    const headers = { authorization: `Bearer ${key}` };
    const id = newFileId();
    const bytes = 48 * 2 ** 20;
    const record = { id, tenant: 'erin', filename: 'f', purpose: 'batch_output', bytes, createdAt: seconds() } as const;
    await createFileRecords(api.redis, api.keys).put(record);
    await api.files.put(fileKey(id), Buffer.alloc(bytes, 'x'));
    const download = await fetch(`${other.url}/v1/files/${id}/content`, { headers });
    expect(download.status).toBe(200);

    const boundary = 'frontier';
    const head = `--${boundary}\r\nContent-Disposition: form-data; name="file"; filename="f"\r\n\r\n`;
    const upload = fetch(`${other.url}/v1/files`, {
      method: 'POST',
      headers: { ...headers, 'content-type': `multipart/form-data; boundary=${boundary}` },
      // It never ends.
      body: new ReadableStream({ start: (body) => body.enqueue(Buffer.from(head + lines(1))) }),
      duplex: 'half',
    });
    await expect.poll(other.partialUploads).toHaveLength(1);

    await operator.revoke(prefix);
    await expect(upload).rejects.toThrow('fetch failed');
    await expect(download.arrayBuffer()).rejects.toThrow('terminated');
    await expect.poll(other.partialUploads).toHaveLength(0);
  });
});

it('an api without keys is closed within a second of the first one, with all that is open', async () => {
  const api = await startTestApi({ redisUrl: inject('redisUrl'), env: { ...env, ...keyless } });
  const { ended } = await watchBatch(api.url, {});
  expect((await fetch(`${api.url}/admin/queues/`)).status).toBe(200);
  const { key } = await openKeys(api).create('local');
  // Until then it refuses what comes through a proxy.
  await expect.poll(() => ask(api.url, 'anything'), withinASecond).toMatchObject({ status: 401 });
  await ended;
  expect(await ask(api.url, key)).toMatchObject({ status: 200 });
  const board = await fetch(`${api.url}/admin/queues/`);
  expect([board.status, await board.text()]).toEqual([404, expect.stringContaining('Set BOARD_USER')]);
  await api.close();
});

it('a stored key is enough to listen beyond this machine', async () => {
  const first = await startTestApi({ redisUrl: inject('redisUrl'), env: keyless });
  const open = { ...keyless, ...first.shared, HOST: '0.0.0.0' };
  await expect(startTestApi({ redisUrl: inject('redisUrl'), env: open })).rejects.toThrow(/PROMPTMILL_API_KEYS/);
  await openKeys(first).create('carol');
  const second = await startTestApi({ redisUrl: inject('redisUrl'), env: open });
  await second.close();
  await first.close();
});

it('an api that was closed by keys does not open when its files are gone', async () => {
  const first = await startTestApi({ redisUrl: inject('redisUrl'), env: keyless });
  const operator = openKeys(first);
  const { prefix } = await operator.create('carol');
  await operator.revoke(prefix);
  const withoutFiles = { ...keyless, ...first.shared, PROMPTMILL_DATA_DIR: path.join(first.directory, 'not-mounted') };
  const start = (redisUrl = inject('redisUrl')) => startTestApi({ redisUrl, env: withoutFiles });
  await expect(start()).rejects.toThrow(new RegExp(`API keys.*${first.keys.apiKeysVersion}`, 's'));

  const proxy = await startTcpProxy(inject('redisUrl'));
  proxy.set('refuse');
  const late = await start(proxy.url);
  expect(await ask(late.url, '', '/metrics')).toMatchObject({ status: 503 });
  proxy.set('pass');
  await expect.poll(() => ask(late.url, ''), { timeout: 10_000 }).toMatchObject({ status: 401 });
  await late.close();
  await proxy.close();
  await first.close();
});

it('known keys stand while Redis is away, and changes it knows nothing of are seen once it is back', async () => {
  const redis = await startDurableRedis();
  const api = await startTestApi({ redisUrl: redis.url, env });
  const operator = openKeys(api);
  const { key } = await operator.create('carol');
  await expect.poll(() => ask(api.url, key), withinASecond).toMatchObject({ status: 200 });

  await redis.kill();
  await expect.poll(() => ask(api.url, key)).toMatchObject({ status: 503 });
  expect(await ask(api.url, 'another')).toMatchObject({ status: 401 });
  const { key: second } = await operator.create('dora', {}, false);
  await redis.restart();
  await expect.poll(() => ask(api.url, second), { timeout: 10_000 }).toMatchObject({ status: 200 });
  expect(await ask(api.url, key)).toMatchObject({ status: 200 });
  await api.close();
  await redis.stop();
});
