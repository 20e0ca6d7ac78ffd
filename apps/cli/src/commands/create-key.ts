import { isKeyNote, isTenantName, newApiKey, tenantNameRule } from '@promptmill/core';
import { CliError } from '../cli-error.ts';
import type { CliContext } from '../context.ts';
import { formatTime } from '@promptmill/core/display';
import { openKeys } from '../keys/open-keys.ts';

export interface CreateKeyOptions {
  readonly tenant: string;
  readonly admin?: boolean;
  /** In seconds from now. Default: never. */
  readonly expires?: number;
  readonly note?: string;
}

/** Prints the key to standard output, and what is known of it to the screen. */
export const createKey = async (options: CreateKeyOptions, context: CliContext): Promise<number> => {
  const { tenant, admin = false, expires, note } = options;
  if (!isTenantName(tenant)) throw new CliError('invalid_tenant', `--tenant must be ${tenantNameRule}`);
  if (note !== undefined && !isKeyNote(note))
    throw new CliError('invalid_note', '--note must have 200 characters at most, and no control characters');
  const { store, announce } = await openKeys(context);
  const createdAt = Math.floor(Date.now() / 1000);
  const { key, record } = newApiKey({
    tenant,
    admin,
    createdAt,
    ...(expires === undefined ? {} : { expiresAt: createdAt + expires }),
    ...(note === undefined ? {} : { note }),
  });
  await store.put(record);
  await announce();
  const until = record.expiresAt === undefined ? 'does not expire' : `expires ${formatTime(record.expiresAt)}`;
  context.screen.write(
    `${admin ? 'admin key' : 'key'} ${record.prefix} of ${tenant}, ${until}; it is shown only here:\n`,
  );
  context.stdout.write(`${key}\n`);
  return 0;
};
