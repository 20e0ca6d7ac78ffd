import { Redis } from 'ioredis';
import { watchSilence } from './silence.ts';
import { writeTogether } from './write-together.ts';

/** What ioredis keeps to itself. */
interface Internals {
  /** Sent over the last connection that was ready, and not answered; sent again when the next one is. */
  readonly prevCommandQueue?: { shift(): { readonly command: { reject(error: Error): void } } | undefined } | null;
}

/**
 * Makes the connection, and its copies, reject what was under way when it ends. As ioredis is, that is forgotten, and who
 * waits for it waits for ever, if Redis was gone before and the next connection broke before it was ready.
 */
export const keepServerSteady = (redis: Redis): Redis => {
  watchSilence(redis);
  writeTogether(redis);
  redis.on('end', () => {
    const { prevCommandQueue: forgotten } = redis as unknown as Internals;
    for (let item = forgotten?.shift(); item; item = forgotten?.shift())
      item.command.reject(new Error('Connection is closed.'));
  });
  redis.duplicate = (...options) => keepServerSteady(Redis.prototype.duplicate.apply(redis, options));
  return redis;
};
