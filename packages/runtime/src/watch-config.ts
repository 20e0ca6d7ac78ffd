import { type Stats, unwatchFile, watchFile } from 'node:fs';
import type { Config } from './config.ts';
import type { Logger } from './logger.ts';

export interface WatchConfigOptions {
  /** Reads the configuration again, and throws when it is not valid. */
  readonly load: () => Config;
  readonly onChange: (config: Config) => Promise<void>;
  readonly logger: Logger;
}

/** Editors and ConfigMaps replace files in ways that change events miss, so the file is checked once a second. */
const intervalMs = 1000;

/** Calls `onChange` when the configuration file has changed. A configuration that is not valid is only logged. */
export const watchConfig = (file: string, { load, onChange, logger }: WatchConfigOptions): { close(): void } => {
  const reload = async (): Promise<void> => {
    try {
      await onChange(load());
      logger.info({ file }, 'configuration read again');
    } catch (error) {
      logger.error({ err: error, file }, 'the changed configuration is not in force');
    }
  };
  // For a missing file `watchFile` reports one change at first, with equal times.
  const listener = (now: Stats, before: Stats): void => {
    if (now.mtimeMs !== before.mtimeMs) void reload();
  };
  watchFile(file, { interval: intervalMs, persistent: false }, listener);
  return { close: () => unwatchFile(file, listener) };
};
