import { Redis } from 'ioredis';
import type { Logger } from '../logger.ts';

/** A Redis that was started, or found running. */
export interface RunningRedis {
  /** As ioredis takes it: a socket's path or a URL. */
  readonly url: string;
  /** Absent in a container. */
  readonly pid?: number;
  /** Whether waiting for its answer makes sense. */
  isRunning(): boolean;
  /** Stops it; what was written is on disk then. */
  stop(): Promise<void>;
}

const retryMs = 50;
const noticeMs = 5000;

/** Waits until Redis has loaded its data and answers, as long as that takes; false when it stops instead. */
export const waitUntilReady = async (running: RunningRedis, logger: Logger): Promise<boolean> => {
  const redis = new Redis(running.url, {
    retryStrategy: () => (running.isRunning() ? retryMs : null),
    // How long until it is asked again while it loads.
    maxLoadingRetryTime: retryMs,
  });
  // A refused connection is tried again.
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
