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
 * Redis went away and the next connection broke before it was ready, and all that wait if it is closed between two
 * attempts to connect. Their callers would wait for ever.
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
  redis.disconnect = (reconnect = false) => {
    // There is no socket whose end would end it then. ioredis ends at once what has not begun to connect.
    if (!reconnect && redis.status === 'reconnecting') redis.status = 'wait';
    Redis.prototype.disconnect.call(redis, reconnect);
  };
  redis.duplicate = (...options) => keepServerSteady(Redis.prototype.duplicate.apply(redis, options));
  return redis;
};
