import { setTimeout as sleep } from 'node:timers/promises';
import { type ApiKeyStore, createApiKeyStore, openFileStore } from '@promptmill/files';
import { closeRedis, connectRedis, createApiKeysVersion, createKeys, untilReady } from '@promptmill/queue';
import { type Config, findEmbeddedRedis, loadConfig } from '@promptmill/runtime';
import type { CliContext } from '../context.ts';

const connectTimeoutMs = 3000;

/** Tells the running apis that a key has changed. False when their Redis does not answer. */
const tellApis = async ({ redisIsNamed, redisUrl, dataDirectory, redisPrefix }: Config): Promise<boolean> => {
  const url = redisIsNamed ? redisUrl : findEmbeddedRedis(dataDirectory);
  // There is no api either then: its Redis would run.
  if (url === undefined) return true;
  const redis = connectRedis({ url, whileAway: 'fail', onError: () => {} });
  try {
    await Promise.race([untilReady(redis), sleep(connectTimeoutMs, undefined, { ref: false })]);
    await createApiKeysVersion(redis, createKeys(redisPrefix)).change();
    return true;
  } catch {
    return false;
  } finally {
    await closeRedis(redis);
  }
};

export interface LocalKeys {
  readonly store: ApiKeyStore;
  /** Lets the running apis see a change at once, or says that they will see it later. */
  readonly announce: () => Promise<void>;
}

/** Opens the keys in the file store that the environment names. */
export const openKeys = async ({ env, screen }: CliContext): Promise<LocalKeys> => {
  const config = loadConfig(env);
  return {
    store: createApiKeyStore(await openFileStore(config.store)),
    async announce() {
      if (!(await tellApis(config)))
        screen.write('Redis does not answer: running apis see the change within 30 s, or once Redis is back\n');
    },
  };
};
