import { Redis } from 'ioredis';

export interface RedisOptions {
  /** As ioredis takes it: `redis://…`, `rediss://…`, or the path of a Unix socket. */
  readonly url: string;
  /**
   * What a command does while Redis is away. `fail` rejects it within 2 s: for what a caller waits on. `wait` holds it
   * until Redis is back: for workers and collectors, which have nothing better to do.
   */
  readonly whileAway: 'fail' | 'wait';
  readonly onError: (error: Error) => void;
}

/** Leaves room in the 2 s for the answer that tells the caller. */
const commandTimeoutMs = 1500;

/**
 * A peer that drops bytes but keeps the socket open is noticed after this long. Longer than any blocking read; shorter
 * would cut those off.
 */
const socketTimeoutMs = 15_000;

const longestReconnectDelayMs = 1000;

/** Opens a connection that reconnects by itself for as long as it lives. */
export const connectRedis = ({ url, whileAway, onError }: RedisOptions): Redis => {
  const options = {
    socketTimeout: socketTimeoutMs,
    keepAlive: 10_000,
    retryStrategy: (attempt: number) => Math.min(attempt * 50, longestReconnectDelayMs),
    ...(whileAway === 'fail'
      ? { commandTimeout: commandTimeoutMs, enableOfflineQueue: false, maxRetriesPerRequest: 0 }
      : { maxRetriesPerRequest: null }),
  };
  const redis = new Redis(url, options);
  redis.on('error', onError);
  return redis;
};

/** Resolves once the connection can take commands. */
export const untilReady = async (redis: Redis): Promise<void> => {
  if (redis.status === 'ready') return;
  await new Promise<void>((resolve) => {
    redis.once('ready', resolve);
  });
};

/** Ends a connection: after the commands under way, or at once while Redis is away. */
export const closeRedis = async (redis: Redis): Promise<void> => {
  if (redis.status === 'ready') await redis.quit();
  else redis.disconnect();
};
