import { Redis } from 'ioredis';
import type { Logger } from '../logger.ts';

/** A Redis that was started here or taken over. */
export interface RunningRedis {
  /** For ioredis: the path of a socket, or a URL. */
  readonly url: string;
  /** Undefined in a container. */
  readonly pid?: number;
  /** Whether Redis may still answer, so that waiting makes sense. */
  isRunning(): boolean;
  /** Stops Redis. All its data is on disk then. */
  stop(): Promise<void>;
}

const retryMs = 50;
const noticeMs = 5000;

/** Waits until Redis has loaded its data and answers, however long that takes. Returns false when Redis stops. */
export const waitUntilReady = async (running: RunningRedis, logger: Logger): Promise<boolean> => {
  const redis = new Redis(running.url, {
    retryStrategy: () => (running.isRunning() ? retryMs : null),
    // The pause between two questions while Redis loads.
    maxLoadingRetryTime: retryMs,
  });
  // ioredis tries again after a refused connection.
  redis.on('error', () => undefined);
  const notice = setInterval(
    () => logger.info({ redisPid: running.pid }, 'waiting for Redis to load its data'),
    noticeMs,
  );
  try {
    return await new Promise<boolean>((resolve) => {
      redis.once('ready', () => resolve(true));
      redis.once('end', () => resolve(false));
    });
  } finally {
    clearInterval(notice);
    redis.disconnect();
  }
};
