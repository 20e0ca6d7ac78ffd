import { digestOfKey, stateOfKey, type StoredApiKey } from '@promptmill/core';
import type { StoredApiKeys } from '@promptmill/files';
import type { ApiKey } from '@promptmill/runtime';
import type { Caller } from './caller.ts';

/** The tenant of every caller where there are no keys. */
export const localTenant = 'local';

export interface KeyRingOptions {
  /** Keys of the environment. */
  readonly apiKeys: readonly ApiKey[];
  /** Whether callers without a key are served while there are no keys. */
  readonly mayBeKeyless: boolean;
  /** Milliseconds since the epoch. */
  readonly now: () => number;
}

export type FoundKey =
  | { readonly kind: 'known'; readonly caller: Caller }
  | { readonly kind: 'expired' | 'revoked' | 'unknown' }
  /** The stored keys have not been read yet. */
  | { readonly kind: 'unread' };

export interface KeyChange {
  readonly action: 'key.create' | 'key.revoke' | 'key.expire';
  readonly stored: StoredApiKey;
}

interface Entry {
  readonly caller: Caller;
  readonly end: AbortController;
  /** Absent for a key of the environment. */
  readonly stored?: StoredApiKey;
}

const newEntry = (terms: Omit<Caller, 'ended'>, stored?: StoredApiKey): Entry => {
  const end = new AbortController();
  return { caller: { ...terms, ended: end.signal }, end, ...(stored ? { stored } : {}) };
};

const entryOf = (stored: StoredApiKey): Entry => {
  const { tenant, admin, prefix } = stored;
  return newEntry({ tenant, admin, key: prefix }, stored);
};

/**
 * The keys that open the api: those of the environment and the stored ones. A caller's key is looked up by its SHA-256,
 * so the time that the look-up takes tells nothing of any key.
 */
export const createKeyRing = ({ apiKeys, mayBeKeyless, now }: KeyRingOptions) => {
  const fixed = new Map<string, Entry>(
    apiKeys.map(({ tenant, key, admin = false }, i) => [
      digestOfKey(key),
      newEntry({ tenant, admin, key: `env-${i + 1}` }),
    ]),
  );
  /** By their digests. */
  const kept = new Map<string, Entry>();
  const anyone = newEntry({ tenant: localTenant, admin: false });
  if (apiKeys.length > 0 || !mayBeKeyless) anyone.end.abort();
  let isRead = false;
  let hasStoredKeys = false;
  let areNoted: boolean | undefined;
  /** Whether it is known who may come in. */
  const isSettled = (): boolean => isRead && (anyone.end.signal.aborted || areNoted !== undefined);

  const stateOf = ({ stored }: Entry) => (stored ? stateOfKey(stored, now()) : 'active');

  const end = (entry: Entry, action: KeyChange['action']): readonly KeyChange[] => {
    if (!entry.stored || entry.end.signal.aborted) return [];
    entry.end.abort();
    return [{ action, stored: entry.stored }];
  };

  const take = (stored: StoredApiKey): readonly KeyChange[] => {
    const known = kept.get(stored.digest);
    const isActive = stateOfKey(stored, now()) === 'active';
    if (known && isActive && !known.end.signal.aborted) return [];
    const entry = entryOf(stored);
    kept.set(stored.digest, entry);
    if (isActive) return [{ action: 'key.create', stored }];
    entry.end.abort();
    return known ? end(known, stored.revokedAt === undefined ? 'key.expire' : 'key.revoke') : [];
  };

  return {
    /** The caller that needs no key. Undefined once there was a key: that it is gone again opens nothing. */
    anyone: (): Caller | undefined => (isSettled() && !anyone.end.signal.aborted ? anyone.caller : undefined),

    find(key: string): FoundKey {
      const digest = digestOfKey(key);
      const entry = fixed.get(digest) ?? kept.get(digest);
      if (!entry) return { kind: isSettled() ? 'unknown' : 'unread' };
      const state = stateOf(entry);
      return state === 'active' ? { kind: 'known', caller: entry.caller } : { kind: state };
    },

    /**
     * Takes over what is stored, and returns what has changed since the last time. A key that is gone is revoked.
     *
     * @param noted whether Redis notes that there were stored keys once; undefined while it cannot be asked. Nobody is
     * served without a key before it could.
     */
    update({ keys, unreadable }: StoredApiKeys, noted: boolean | undefined): readonly KeyChange[] {
      hasStoredKeys = keys.length > 0 || unreadable.length > 0;
      areNoted = noted ?? areNoted;
      if (hasStoredKeys || areNoted) anyone.end.abort();
      const changes = keys.flatMap(take);
      const digests = new Set(keys.map(({ digest }) => digest));
      for (const [digest, entry] of kept)
        if (!digests.has(digest)) {
          kept.delete(digest);
          changes.push(...end(entry, 'key.revoke'));
        }
      const isFirst = !isRead;
      isRead = true;
      return isFirst ? [] : changes;
    },

    /** Ends what callers with expired keys have under way, and returns those keys. */
    endExpired: (): readonly KeyChange[] =>
      [...kept.values()].flatMap((entry) => (stateOf(entry) === 'expired' ? end(entry, 'key.expire') : [])),

    isRead: isSettled,
    hasStoredKeys: (): boolean => hasStoredKeys,
    /** Whether there were stored keys once, and now there is no key at all: the store is not the one that had them. */
    hasLostKeys: (): boolean => isRead && areNoted === true && !hasStoredKeys && fixed.size === 0,

    /** How many active keys each tenant has. */
    activeKeys(): ReadonlyMap<string, number> {
      const counts = new Map<string, number>();
      for (const entry of [...fixed.values(), ...kept.values()])
        if (stateOf(entry) === 'active') counts.set(entry.caller.tenant, (counts.get(entry.caller.tenant) ?? 0) + 1);
      return counts;
    },
  };
};

export type KeyRing = ReturnType<typeof createKeyRing>;
