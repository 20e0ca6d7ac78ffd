import closeWithGrace from 'close-with-grace';
import type { Lifecycle } from './lifecycle.ts';
import type { Logger } from './logger.ts';

export interface RunUntilSignalOptions {
  readonly logger: Logger;
  /** Time to close in, in milliseconds; then the process exits whatever still hangs. */
  readonly graceMs: number;
}

/**
 * Closes `life` on the first SIGTERM, SIGINT or the like, and ends the process: 0 when all has closed; 1 when something
 * could not close, hangs past `graceMs`, on a second signal (at once), or after an uncaught error.
 */
export const runUntilSignal = (life: Lifecycle, { logger, graceMs }: RunUntilSignalOptions): void => {
  closeWithGrace(
    {
      delay: graceMs,
      logger: false,
      // A process with nothing left to do keeps the exit code it has set.
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
