import { stateOfKey, type StoredApiKey } from '@promptmill/core';
import type { CliContext } from '../context.ts';
import { formatTime } from '@promptmill/core/display';
import { openKeys } from '../keys/open-keys.ts';
import { type Column, formatTable, show } from '../show.ts';

const columns: readonly Column[] = ['KEY', 'STATE', 'KIND', 'CREATED (UTC)', 'EXPIRES (UTC)', 'TENANT', 'NOTE'].map(
  (title) => ({ title }),
);

const rowOf = (key: StoredApiKey, nowMs: number): readonly string[] => [
  key.prefix,
  stateOfKey(key, nowMs),
  key.admin ? 'admin' : '',
  formatTime(key.createdAt),
  key.expiresAt === undefined ? 'never' : formatTime(key.expiresAt),
  key.tenant,
  key.note ?? '',
];

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

export const listKeys = async ({ json }: { readonly json?: boolean }, context: CliContext): Promise<number> => {
  const { screen } = context;
  const { store } = await openKeys(context);
  const { keys, unreadable } = await store.list();
  const nowMs = Date.now();
  for (const file of unreadable) screen.write(`${file} in the file store holds no key, or cannot be read\n`);
  if (keys.length === 0) screen.write('no keys yet: promptmill keys create --tenant NAME makes one\n');
  const value = keys.map((key) => toJson(key, nowMs));
  const rows = keys.map((key) => rowOf(key, nowMs));
  show(value, { json, text: () => formatTable(columns, rows) }, context);
  return unreadable.length === 0 ? 0 : 1;
};
