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
  redis.on('smessage', (_channel: string, callId: string) => onHangUp(callId));
  // ioredis subscribes again whenever it reconnects.
  redis.ssubscribe(keys.hangUps).catch(() => {});
  const heartbeat = setInterval(() => {
    if (redis.status === 'ready') redis.ping().catch(() => {});
  }, heartbeatMs);
  return {
    close(): void {
      clearInterval(heartbeat);
      redis.disconnect();
    },
  };
};
