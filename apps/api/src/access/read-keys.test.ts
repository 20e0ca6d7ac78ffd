import { newApiKey } from '@promptmill/core';
import { type FileStore, FileStoreError } from '@promptmill/files';
import { createLogger } from '@promptmill/runtime';
import { Readable } from 'node:stream';
import { expect, it } from 'vitest';
import { readKeys } from './read-keys.ts';

const logger = createLogger({ level: 'silent', role: 'api' });
const open = { host: '127.0.0.1', apiKeys: [] };
const exposed = { ...open, host: '0.0.0.0', board: { user: 'me', password: 'secret' } };
const version = { key: 'api-keys', read: async () => null, change: async () => {} };
const away = (): never => {
  throw new FileStoreError('unavailable', 'the store is away');
};

/** A store with these files, which a test can change. */
const storeOf = (contents: Map<string, string>) => {
  let isAway = false;
  const files = {
    async *list() {
      if (isAway) away();
      for (const [key, content] of contents) yield { key, bytes: content.length };
    },
    get: async (key: string) => Readable.from([contents.get(key) ?? away()]),
  } as unknown as FileStore;
  return { files, setAway: (value: boolean) => (isAway = value) };
};

it('opens nothing to callers without a key while the store is away', async () => {
  const { files, setAway } = storeOf(new Map());
  setAway(true);
  const { ring, read } = await readKeys({ config: exposed, files, version, logger });
  const local = await readKeys({ config: open, files, version, logger });
  expect([ring.anyone(), local.ring.anyone(), ring.find('key')]).toEqual([undefined, undefined, { kind: 'unread' }]);

  setAway(false);
  expect(await read(null)).toBe(true);
  expect([ring.anyone(), ring.find('key')]).toEqual([undefined, { kind: 'unknown' }]);
  await local.read(null);
  expect(local.ring.anyone()).toMatchObject({ tenant: 'local' });
});

it('keeps the known keys when the store goes away', async () => {
  const { key, record } = newApiKey({ tenant: 'ada', admin: false, createdAt: 1 });
  const { files, setAway } = storeOf(new Map([[`api-keys/${record.prefix}.json`, JSON.stringify(record)]]));
  const { ring, read } = await readKeys({ config: open, files, version, logger });
  setAway(true);
  expect(await read(null)).toBe(false);
  expect(ring.find(key)).toMatchObject({ kind: 'known', caller: { tenant: 'ada' } });
});

it('passes over a file that holds no key, and revokes a key whose revocation says no time', async () => {
  const [good, torn] = [1, 2].map((createdAt) => newApiKey({ tenant: 'ada', admin: false, createdAt }));
  if (!good || !torn) throw new Error('two keys were made');
  const contents = new Map([
    [`api-keys/${torn.record.prefix}.json`, '{"prefix"'],
    [`api-keys/${good.record.prefix}.json`, JSON.stringify(good.record)],
    ['api-keys/pm_000000000000.json', JSON.stringify(good.record)],
  ]);
  const { ring, read } = await readKeys({ config: open, files: storeOf(contents).files, version, logger });
  expect([ring.find(good.key).kind, ring.find(torn.key).kind]).toEqual(['known', 'unknown']);
  contents.set(`api-keys/${good.record.prefix}.revoked`, '');
  await read(null);
  expect(ring.find(good.key)).toEqual({ kind: 'revoked' });
});

it('refuses to listen beyond this machine without any key', async () => {
  await expect(readKeys({ config: exposed, files: storeOf(new Map()).files, version, logger })).rejects.toThrow(
    /PROMPTMILL_API_KEYS/,
  );
});

it('notes in Redis that there are keys, where Redis does not know', async () => {
  const { record } = newApiKey({ tenant: 'ada', admin: false, createdAt: 1 });
  const { files } = storeOf(new Map([[`api-keys/${record.prefix}.json`, JSON.stringify(record)]]));
  let changes = 0;
  const counting = { ...version, change: async () => void changes++ };
  const { read } = await readKeys({ config: open, files, version: counting, logger });
  await read('a token');
  await read(undefined);
  expect(changes).toBe(1);
});
