import { setTimeout as sleep } from 'node:timers/promises';
import { type ApiKeysVersion, onBack, type RedisConnection } from '@promptmill/queue';
import type { KeyReader } from './read-keys.ts';

/** One small read of Redis for the whole process, so that a change is seen within a second. */
const lookEveryMs = 400;
/** By then a change is seen too when Redis is away, or has lost the note of it. */
const readEveryMs = 30_000;
const readAgainMs = 2000;

/** Reads the stored keys when one was created or revoked, each time Redis is back, and every 30 s. */
export const watchKeys = (redis: RedisConnection, version: ApiKeysVersion, { read, endExpired }: KeyReader) => {
  const stopping = new AbortController();
  let timesBack = 0;
  let seen = '';
  let nextReadMs = 0;
  let notBeforeMs = 0;

  const look = async (): Promise<void> => {
    endExpired();
    // The token is read before the keys, so that a change between the two is seen the next time.
    const token = redis.status === 'ready' ? await version.read().catch(() => undefined) : undefined;
    const found = token === undefined ? seen : `${timesBack} ${token}`;
    const nowMs = performance.now();
    if (nowMs < notBeforeMs || (found === seen && nowMs < nextReadMs)) return;
    if (await read(token)) {
      seen = found;
      nextReadMs = performance.now() + readEveryMs;
    } else notBeforeMs = performance.now() + readAgainMs;
  };

  const watch = async (): Promise<void> => {
    while (!stopping.signal.aborted) {
      await look();
      await sleep(lookEveryMs, undefined, { signal: stopping.signal }).catch(() => {});
    }
  };
  const stopListening = onBack(redis, () => timesBack++);
  const watching = watch();
  return {
    async close(): Promise<void> {
      stopListening();
      stopping.abort();
      await watching;
    },
  };
};
