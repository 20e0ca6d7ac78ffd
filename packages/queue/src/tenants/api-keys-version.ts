import { randomUUID } from 'node:crypto';
import type { Keys } from '../keys.ts';
import type { RedisConnection } from '../connection/redis.ts';

/**
 * A token that changes whenever an API key is created or revoked, so that every api looks into the file store then. It
 * is random: one that counted could come back after Redis has lost its latest writes. Where it exists, keys were created
 * once.
 */
export const createApiKeysVersion = (redis: RedisConnection, keys: Keys) => ({
  key: keys.apiKeysVersion,
  read: (): Promise<string | null> => redis.get(keys.apiKeysVersion),
  async change(): Promise<void> {
    await redis.set(keys.apiKeysVersion, randomUUID());
  },
});

export type ApiKeysVersion = ReturnType<typeof createApiKeysVersion>;
