import type { Redis } from 'ioredis';

/**
 * Sends the commands of one event-loop turn in one write. A write is a system call, and a busy worker would make one for
 * each command.
 */
export const writeTogether = (redis: Redis): void => {
  redis.on('connect', () => {
    const { stream } = redis;
    const write = stream.write.bind(stream) as (...args: unknown[]) => boolean;
    let isHeldBack = false;
    stream.write = (...args: unknown[]) => {
      if (!isHeldBack) {
        isHeldBack = true;
        stream.cork();
        setImmediate(() => {
          isHeldBack = false;
          stream.uncork();
        });
      }
      return write(...args);
    };
  });
};
