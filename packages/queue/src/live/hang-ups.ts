import type { Keys } from '../keys.ts';
import type { RedisConnection } from '../connection/redis.ts';

/** A connection that only listens would not notice that it is broken; a ping shows it. */
const heartbeatMs = 3000;

/**
 * The worker's side: tells when the caller of a live call waits no longer. What it misses while its connection is broken
 * is found where a call is checked.
 *
 * @param redis a connection used for nothing else, whose commands wait while Redis is away
 */
export const listenForHangUps = (redis: RedisConnection, keys: Keys, onHangUp: (callId: string) => void) => {
  /** When it was last known that nothing is missed. */
  let heardAtMs = -Infinity;
  redis.on('smessage', (_channel: string, callId: string) => onHangUp(callId));
  // ioredis subscribes again whenever it reconnects.
  const subscribed = redis.ssubscribe(keys.hangUps).then(() => {
    heardAtMs = performance.now();
  });
  subscribed.catch(() => {});
  const heartbeat = setInterval(() => {
    if (redis.status !== 'ready') return;
    subscribed
      .then(() => redis.ping())
      .then(() => {
        heardAtMs = performance.now();
      })
      .catch(() => {});
  }, heartbeatMs);
  return {
    /** Whether all hang-ups of the last seconds have come. */
    isHearing: (): boolean => redis.status === 'ready' && performance.now() - heardAtMs < 2 * heartbeatMs,
    close(): void {
      clearInterval(heartbeat);
      redis.disconnect();
    },
  };
};
