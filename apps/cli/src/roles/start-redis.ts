import { type EmbeddedRedis, type EmbeddedRedisOptions, startEmbeddedRedis } from '@promptmill/runtime';

/** Starts the embedded Redis, and stops it when this process exits, in whatever way but a kill -9. */
export const startRedis = async (
  options: Pick<EmbeddedRedisOptions, 'dataDirectory' | 'maxmemory' | 'logger'>,
): Promise<Pick<EmbeddedRedis, 'url' | 'close'>> => {
  const redis = await startEmbeddedRedis(options);
  const stop = (): void => {
    try {
      if (redis.pid !== undefined) process.kill(redis.pid, 'SIGTERM');
    } catch {
      // Redis has ended already.
    }
  };
  process.once('exit', stop);
  return {
    url: redis.url,
    async close() {
      process.removeListener('exit', stop);
      await redis.close();
    },
  };
};
