import { prefixOfKey } from '@promptmill/core';
import { CliError } from '../cli-error.ts';
import type { CliContext } from '../context.ts';
import { openKeys } from '../keys/open-keys.ts';

/** Revoking a key again changes nothing. */
export const revokeKey = async (text: string, context: CliContext): Promise<number> => {
  const prefix = prefixOfKey(text);
  if (prefix === undefined)
    throw new CliError('invalid_prefix', 'name the key by its start, pm_ and 12 hex digits, as `keys list` shows it');
  const { store, announce } = await openKeys(context);
  const outcome = await store.revoke(prefix, Math.floor(Date.now() / 1000));
  if (outcome === 'missing')
    throw new CliError('key_not_found', `there is no key ${prefix}: promptmill keys list shows all`);
  await announce();
  context.screen.write(outcome === 'known' ? `${prefix} was revoked before\n` : `${prefix} is revoked\n`);
  return 0;
};
