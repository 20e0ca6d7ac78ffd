import { Redis } from 'ioredis';

/** Far less than the wait for any other answer: processes that were cut off are back within a moment of each other. */
const greetingTimeoutMs = 2000;

/**
 * Breaks a connection, also of copies, whose other end takes it but says nothing for 2 s: it leads nowhere, and the next
 * may be answered. ioredis limits the time until it is taken only. A Redis that is loading its data says so.
 */
export const expectGreeting = (redis: Redis): Redis => {
  redis.on('connect', () => {
    const { stream } = redis;
    const timer = setTimeout(
      () => stream.destroy(new Error(`Redis has not answered within ${greetingTimeoutMs} ms of the connection`)),
      greetingTimeoutMs,
    );
    for (const event of ['data', 'close']) stream.once(event, () => clearTimeout(timer));
  });
  redis.duplicate = (...options) => expectGreeting(Redis.prototype.duplicate.apply(redis, options));
  return redis;
};
