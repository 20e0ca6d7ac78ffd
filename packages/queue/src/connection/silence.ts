import type { Cluster, Redis } from 'ioredis';

/**
 * Far shorter than the wait for any other answer, so that processes that were cut off are back at nearly the same time.
 */
const greetingTimeoutMs = 2000;

const heardAtMs = new WeakMap<Redis | Cluster, number>();

/**
 * Breaks a connection that is accepted but gets no answer for 2 s; the next attempt may get one. ioredis limits only
 * the time until a connection is accepted. A Redis that is loading its data does answer.
 */
const expectGreeting = (redis: Redis): void => {
  const { stream } = redis;
  const timer = setTimeout(
    () => stream.destroy(new Error(`Redis has not answered within ${greetingTimeoutMs} ms of the connection`)),
    greetingTimeoutMs,
  );
  for (const event of ['data', 'close']) stream.once(event, () => clearTimeout(timer));
};

/** Watches a connection to a server for silence. Silence at its start breaks it; later silence is measured. */
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
 * How long no answer has come over a connection, in milliseconds. The first answers of a new connection do not count:
 * when it is ready again, this tells how long Redis was away. Infinity for a cluster, whose nodes may be away one by
 * one.
 */
export const silenceMs = (redis: Redis | Cluster): number => performance.now() - (heardAtMs.get(redis) ?? -Infinity);

/** ioredis clears the timer in this field when the command is over. */
const timerField = '_commandTimeoutTimer';

/** Private parts of ioredis. */
interface TimedCommand {
  [timerField]?: NodeJS.Timeout;
  /** Whether it has an answer or has failed. */
  readonly isSettled: boolean;
  setTimeout(ms: number): void;
  reject(error: Error): void;
}

/**
 * Makes the time limit of commands (`commandTimeout`) count from Redis's last answer. Redis answers in order: while it
 * answers others, a command is not lost, and a busy process or Redis is only late with it.
 */
export const timeCommandsBySilence = (redis: Redis): void => {
  const send = redis.sendCommand.bind(redis);
  redis.sendCommand = (command, stream) => {
    const timed = command as unknown as TimedCommand;
    timed.setTimeout = (ms) => {
      const look = (): void => {
        if (timed.isSettled) return;
        const leftMs = ms - silenceMs(redis);
        if (leftMs <= 0) timed.reject(new Error('Command timed out'));
        else wait(leftMs);
      };
      const wait = (waitMs: number): void => {
        // An event loop that was blocked reads the answers first.
        timed[timerField] = setTimeout(() => setImmediate(look), waitMs);
      };
      // A busy process sends the command late, at the end of this turn of its event loop (write-together.ts).
      setImmediate(() => {
        if (!timed.isSettled) wait(ms);
      });
    };
    return send(command, stream);
  };
};
