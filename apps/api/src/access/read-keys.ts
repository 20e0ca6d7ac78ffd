import { setTimeout as sleep } from 'node:timers/promises';
import { isLoopback } from '@promptmill/core';
import { createApiKeyStore, type FileStore } from '@promptmill/files';
import { assertSafeToExpose, createErrorLog, type Logger } from '@promptmill/runtime';
import type { ApiConfig } from '../api-config.ts';
import { createAuditKeyChange } from './audit.ts';
import { createKeyRing, type KeyRing } from './key-ring.ts';

export interface ReadKeysOptions {
  readonly config: Pick<ApiConfig, 'host' | 'apiKeys' | 'board'>;
  readonly files: FileStore;
  readonly logger: Logger;
}

export interface KeyReader {
  readonly ring: KeyRing;
  /** Reads the stored keys again. False when they cannot be read: then the known ones stand. */
  readonly read: () => Promise<boolean>;
  /** Ends what callers have under way whose keys have expired. */
  readonly endExpired: () => void;
}

/** The api starts without the stored keys when the store takes longer. Nobody needs them until it answers. */
const firstReadMs = 5000;

/**
 * Reads the keys that open the api. While the stored ones have never been read, only the environment's open it.
 *
 * @throws ConfigError when anyone could use the api.
 */
export const readKeys = async ({ config, files, logger }: ReadKeysOptions): Promise<KeyReader> => {
  const ring = createKeyRing({ apiKeys: config.apiKeys, mayBeKeyless: isLoopback(config.host), now: Date.now });
  const store = createApiKeyStore(files);
  const auditKeyChange = createAuditKeyChange(logger);
  const logError = createErrorLog(logger);

  const read = async (): Promise<boolean> => {
    try {
      const stored = await store.list();
      for (const file of stored.unreadable) logError(new Error('the file holds no API key'), 'api keys', { file });
      ring.update(stored).forEach(auditKeyChange);
      return true;
    } catch (error) {
      logError(error, 'api keys');
      return false;
    }
  };

  await Promise.race([read(), sleep(firstReadMs, undefined, { ref: false })]);
  assertSafeToExpose(config, ring.hasStoredKeys() || !ring.isRead());
  return { ring, read, endExpired: () => ring.endExpired().forEach(auditKeyChange) };
};
