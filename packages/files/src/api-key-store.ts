import { text } from 'node:stream/consumers';
import { type ApiKeyRecord, apiKeyRecord, type StoredApiKey } from '@promptmill/core';
import type { FileStore } from './file-store.ts';

export interface StoredApiKeys {
  /** The oldest first. */
  readonly keys: readonly StoredApiKey[];
  /** Files that should hold a key and hold none, or cannot be read. Such a key opens nothing. */
  readonly unreadable: readonly string[];
}

const folder = 'api-keys/';
const recordKey = (prefix: string): string => `${folder}${prefix}.json`;
const revokedKey = (prefix: string): string => `${folder}${prefix}.revoked`;

/** Undefined when it is no record of the key that the file is named after. */
const parseRecord = (name: string, content: string): ApiKeyRecord | undefined => {
  try {
    const record = apiKeyRecord.parse(JSON.parse(content));
    return recordKey(record.prefix) === name ? record : undefined;
  } catch {
    return undefined;
  }
};

/**
 * The API keys, as digests. A key is a file of its own, and so is its revocation. Neither ever changes, so changes made
 * at the same time never undo each other, and each file is read only once.
 */
export const createApiKeyStore = (files: FileStore) => {
  const records = new Map<string, ApiKeyRecord>();
  const revocations = new Map<string, number>();

  const contentOf = async (name: string): Promise<string> => {
    try {
      return await text(await files.get(name));
    } catch {
      return '';
    }
  };

  const readRecord = async (name: string): Promise<ApiKeyRecord | undefined> => {
    const record = records.get(name) ?? parseRecord(name, await contentOf(name));
    if (record) records.set(name, record);
    return record;
  };

  /** The file's existence revokes the key. Without a time in it, the key counts as never valid. */
  const readRevokedAt = async (name: string): Promise<number> => {
    const revokedAt = revocations.get(name) ?? Number(await contentOf(name));
    if (revokedAt > 0) revocations.set(name, revokedAt);
    return revokedAt || 0;
  };

  return {
    async put(record: ApiKeyRecord): Promise<void> {
      await files.put(recordKey(record.prefix), JSON.stringify(record));
    },

    /** `known`: it was revoked before. */
    async revoke(prefix: string, nowSeconds: number): Promise<'revoked' | 'known' | 'missing'> {
      if ((await files.size(recordKey(prefix))) === undefined) return 'missing';
      if ((await files.size(revokedKey(prefix))) !== undefined) return 'known';
      await files.put(revokedKey(prefix), String(nowSeconds));
      return 'revoked';
    },

    /** @throws FileStoreError when the keys cannot be listed */
    async list(): Promise<StoredApiKeys> {
      const names = new Set(await Array.fromAsync(files.list(folder), ({ key }) => key));
      const keys: StoredApiKey[] = [];
      const unreadable: string[] = [];
      for (const name of names) {
        if (!name.endsWith('.json')) continue;
        const record = await readRecord(name);
        if (!record) {
          unreadable.push(name);
          continue;
        }
        const revoked = revokedKey(record.prefix);
        keys.push({ ...record, ...(names.has(revoked) ? { revokedAt: await readRevokedAt(revoked) } : {}) });
      }
      return { keys: keys.sort((a, b) => a.createdAt - b.createdAt), unreadable };
    },
  };
};

export type ApiKeyStore = ReturnType<typeof createApiKeyStore>;
