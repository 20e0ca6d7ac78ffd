import closeWithGrace from 'close-with-grace';
import type { Lifecycle } from './lifecycle.ts';
import type { Logger } from './logger.ts';

export interface RunUntilSignalOptions {
  readonly logger: Logger;
  /** Longest time that closing may take, in milliseconds. Then the process exits, whatever still hangs. */
  readonly graceMs: number;
}

/**
 * Closes `life` on the first SIGTERM, SIGINT or the like, and ends the process. It exits with 0 when all parts have
 * closed. It exits with 1 when a part could not close or took longer than `graceMs`, after an uncaught error, and at
 * once on a second signal.
 */
export const runUntilSignal = (life: Lifecycle, { logger, graceMs }: RunUntilSignalOptions): void => {
  closeWithGrace(
    {
      delay: graceMs,
      logger: false,
      // A process that ends by itself keeps the exit code that it has set.
      skip: ['beforeExit'],
      onSecondSignal: (signal) => logger.fatal({ signal, closing: life.closing() }, 'second signal: exiting at once'),
      onSecondError: (error) => logger.fatal({ err: error, closing: life.closing() }, 'error while closing'),
      onTimeout: () => logger.fatal({ graceMs, closing: life.closing() }, 'closing took too long: exiting'),
    },
    async ({ signal, err }) => {
      if (err) logger.fatal({ err }, 'uncaught error: closing');
      else logger.info({ signal }, 'closing');
      await life.close();
      logger.info('closed');
    },
  );
};
