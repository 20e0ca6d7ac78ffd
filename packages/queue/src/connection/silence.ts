import type { Cluster, Redis } from 'ioredis';

/** Far less than the wait for any other answer: processes that were cut off are back within a moment of each other. */
const greetingTimeoutMs = 2000;

const heardAtMs = new WeakMap<Redis | Cluster, number>();

/**
 * Breaks a connection whose other end takes it but says nothing for 2 s: it leads nowhere, and the next may be answered.
 * ioredis limits the time until it is taken only. A Redis that is loading its data says so.
 */
const expectGreeting = (redis: Redis): void => {
  const { stream } = redis;
  const timer = setTimeout(
    () => stream.destroy(new Error(`Redis has not answered within ${greetingTimeoutMs} ms of the connection`)),
    greetingTimeoutMs,
  );
  for (const event of ['data', 'close']) stream.once(event, () => clearTimeout(timer));
};

/** Watches a connection to a server for silence: one that begins with it is broken, others are measured. */
export const watchSilence = (redis: Redis): void => {
  const hear = (): void => {
    if (redis.status === 'ready') heardAtMs.set(redis, performance.now());
  };
  heardAtMs.set(redis, performance.now());
  redis.on('connect', () => {
    expectGreeting(redis);
    redis.stream.on('data', hear);
  });
};

/**
 * For how long nothing has come over a connection, in ms, greetings apart: when it is ready again, for how long Redis was
 * away. Of a cluster, whose nodes may be away one by one, it is not known: Infinity.
 */
export const silenceMs = (redis: Redis | Cluster): number => performance.now() - (heardAtMs.get(redis) ?? -Infinity);
