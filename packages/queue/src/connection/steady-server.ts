import { Redis } from 'ioredis';
import { timeCommandsBySilence, watchSilence } from './silence.ts';
import { writeTogether } from './write-together.ts';

/** Private parts of ioredis. */
interface Internals {
  /** Commands without an answer that the last ready connection sent. The next ready connection sends them again. */
  readonly prevCommandQueue?: { shift(): { readonly command: { reject(error: Error): void } } | undefined } | null;
}

/**
 * Makes a connection and its duplicates reject the commands under way when it ends. ioredis forgets these commands if
 * Redis went away and the next connection broke before it was ready. Their callers would wait for ever.
 */
export const keepServerSteady = (redis: Redis): Redis => {
  watchSilence(redis);
  timeCommandsBySilence(redis);
  writeTogether(redis);
  redis.on('end', () => {
    const { prevCommandQueue: forgotten } = redis as unknown as Internals;
    for (let item = forgotten?.shift(); item; item = forgotten?.shift())
      item.command.reject(new Error('Connection is closed.'));
  });
  redis.duplicate = (...options) => keepServerSteady(Redis.prototype.duplicate.apply(redis, options));
  return redis;
};
