import { createSweep, type SweepOptions } from './create-sweep.ts';

const dueEveryMs = 60_000;
const abandonedEveryMs = 3_600_000;
/** Nobody is still writing an upload that has not changed for this long. */
const abandonedAfterMs = 86_400_000;

/** Runs `work` now and every `everyMs`, one run at a time. */
const repeat = (everyMs: number, work: () => Promise<void>, onError: (error: unknown) => void) => {
  let running: Promise<void> | undefined;
  const run = (): void => {
    running ??= work()
      .catch(onError)
      .finally(() => (running = undefined));
  };
  run();
  const timer = setInterval(run, everyMs);
  return async (): Promise<void> => {
    clearInterval(timer);
    await running;
  };
};

/**
 * Removes files and batches whose time is over, once a minute, and files that killed processes left half-written, once
 * an hour. Several apis may sweep at the same time.
 */
export const startSweep = (options: SweepOptions): { close(): Promise<void> } => {
  const { redis, files, logger } = options;
  const onError = (error: unknown): void => logger.warn({ err: error }, 'sweep');
  const sweep = createSweep(options);
  const stopping = new AbortController();
  const stops = [
    repeat(
      dueEveryMs,
      async () => {
        if (redis.status === 'ready') await sweep.run(stopping.signal);
      },
      onError,
    ),
    repeat(
      abandonedEveryMs,
      async () => {
        const removed = await files.removeAbandoned(abandonedAfterMs);
        if (removed > 0) logger.info({ removed }, 'abandoned uploads removed');
      },
      onError,
    ),
  ];
  return {
    async close() {
      stopping.abort();
      await Promise.all(stops.map((stop) => stop()));
      await sweep.close();
    },
  };
};
