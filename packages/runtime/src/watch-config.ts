import { type Stats, unwatchFile, watchFile } from 'node:fs';
import type { Config } from './config.ts';
import type { Logger } from './logger.ts';

export interface WatchConfigOptions {
  /** Reads the configuration anew; throws when it is not valid. */
  readonly load: () => Config;
  readonly onChange: (config: Config) => Promise<void>;
  readonly logger: Logger;
}

/** Editors and ConfigMaps replace files in ways that change events miss; looking once a second misses none. */
const intervalMs = 1000;

/** Calls back when the configuration's file has changed. What is not valid is logged, and what was in force stays. */
export const watchConfig = (file: string, { load, onChange, logger }: WatchConfigOptions): { close(): void } => {
  const reload = async (): Promise<void> => {
    try {
      await onChange(load());
      logger.info({ file }, 'configuration read again');
    } catch (error) {
      logger.error({ err: error, file }, 'the changed configuration is not in force');
    }
  };
  // A file that is not there at first is told of once, as a change from nothing to nothing.
  const listener = (now: Stats, before: Stats): void => {
    if (now.mtimeMs !== before.mtimeMs) void reload();
  };
  watchFile(file, { interval: intervalMs, persistent: false }, listener);
  return { close: () => unwatchFile(file, listener) };
};
