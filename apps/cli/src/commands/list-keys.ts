import { stateOfKey, type StoredApiKey } from '@promptmill/core';
import type { CliContext } from '../context.ts';
import { formatTime } from '../format.ts';
import { openKeys } from '../keys/open-keys.ts';

const row = (key: StoredApiKey, nowMs: number): string =>
  [
    key.prefix,
    stateOfKey(key, nowMs).padEnd(7),
    (key.admin ? 'admin' : '').padEnd(5),
    `created ${formatTime(key.createdAt)}`,
    (key.expiresAt === undefined ? 'does not expire' : `expires ${formatTime(key.expiresAt)}`).padEnd(24),
    key.tenant,
    ...(key.note === undefined ? [] : [key.note]),
  ].join('  ');

const toJson = (key: StoredApiKey, nowMs: number) => ({
  prefix: key.prefix,
  state: stateOfKey(key, nowMs),
  tenant: key.tenant,
  admin: key.admin,
  created_at: key.createdAt,
  expires_at: key.expiresAt ?? null,
  revoked_at: key.revokedAt ?? null,
  note: key.note ?? null,
});

export const listKeys = async ({ json = false }: { readonly json?: boolean }, context: CliContext): Promise<number> => {
  const { stdout, screen } = context;
  const { store } = await openKeys(context);
  const { keys, unreadable } = await store.list();
  const nowMs = Date.now();
  if (json)
    stdout.write(
      `${JSON.stringify(
        keys.map((key) => toJson(key, nowMs)),
        undefined,
        2,
      )}\n`,
    );
  else for (const key of keys) stdout.write(`${row(key, nowMs)}\n`);
  for (const file of unreadable) screen.write(`${file} in the file store holds no key, or cannot be read\n`);
  if (keys.length === 0) screen.write('no keys yet\n');
  return unreadable.length === 0 ? 0 : 1;
};
