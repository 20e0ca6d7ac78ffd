import { setTimeout as sleep } from 'node:timers/promises';
import { ConfigError, isLoopback } from '@promptmill/core';
import { createApiKeyStore, type FileStore } from '@promptmill/files';
import type { ApiKeysVersion } from '@promptmill/queue';
import { assertSafeToExpose, createErrorLog, type Logger } from '@promptmill/runtime';
import type { ApiConfig } from '../api-config.ts';
import { createAuditKeyChange } from './audit.ts';
import { createKeyRing, type KeyRing } from './key-ring.ts';

export interface ReadKeysOptions {
  readonly config: Pick<ApiConfig, 'host' | 'apiKeys' | 'board'>;
  readonly files: FileStore;
  readonly version: ApiKeysVersion;
  readonly logger: Logger;
}

export interface KeyReader {
  readonly ring: KeyRing;
  /**
   * Reads the stored keys again. False when they cannot be read: then the known ones stand.
   *
   * @param token what Redis says; undefined when it cannot be asked
   */
  readonly read: (token: string | null | undefined) => Promise<boolean>;
  /** Ends what callers have under way whose keys have expired. */
  readonly endExpired: () => void;
}

/** The api starts without the stored keys when the store takes longer. Nobody needs them until it answers. */
const firstReadMs = 5000;

/**
 * Reads the keys that open the api. While the stored ones have never been read, only the environment's open it.
 *
 * @throws ConfigError when anyone could use the api, or there were stored keys once and now there is no key at all.
 */
export const readKeys = async ({ config, files, version, logger }: ReadKeysOptions): Promise<KeyReader> => {
  const ring = createKeyRing({ apiKeys: config.apiKeys, mayBeKeyless: isLoopback(config.host), now: Date.now });
  const store = createApiKeyStore(files);
  const auditKeyChange = createAuditKeyChange(logger);
  const logError = createErrorLog(logger);

  const lostKeys = (): ConfigError =>
    new ConfigError(
      'API keys were created for this api, says Redis, but the file store has none. Is the disk of PROMPTMILL_DATA_DIR ' +
        `mounted? To begin anew without keys, delete the key ${version.key} in Redis.`,
    );

  const read = async (token: string | null | undefined): Promise<boolean> => {
    try {
      const stored = await store.list();
      for (const file of stored.unreadable) logError(new Error('the file holds no API key'), 'api keys', { file });
      ring.update(stored, token === undefined ? undefined : token !== null).forEach(auditKeyChange);
      if (ring.hasLostKeys()) logError(lostKeys(), 'api keys');
      // Redis lacks the note when it was away as a key was created, and when it has lost its data.
      if (token === null && ring.hasStoredKeys()) await version.change().catch(() => {});
      return true;
    } catch (error) {
      logError(error, 'api keys');
      return false;
    }
  };

  const token = await version.read().catch(() => undefined);
  await Promise.race([read(token), sleep(firstReadMs, undefined, { ref: false })]);
  if (ring.hasLostKeys()) throw lostKeys();
  assertSafeToExpose(config, ring.hasStoredKeys() || !ring.isRead());
  return { ring, read, endExpired: () => ring.endExpired().forEach(auditKeyChange) };
};
