import { createLogger, createMetrics, loadConfig } from '@promptmill/runtime';
import { openFileStore } from '@promptmill/files';
import { startWorker } from '../src/index.ts';

export interface TestWorkerOptions {
  /** The process's environment. */
  readonly env: Readonly<Record<string, string>>;
  /** The content of `promptmill.yaml`. */
  readonly configFile: string;
  /** Takes the log's lines. Default: nothing is logged. */
  readonly onLog?: ((line: string) => void) | undefined;
}

/** A worker in this process, with a configuration as from its environment. */
export const startTestWorker = ({ env, configFile, onLog }: TestWorkerOptions) => {
  const config = loadConfig(env, { readFile: () => configFile });
  const logger = onLog
    ? createLogger({ level: config.logLevel, role: 'worker', stream: { write: onLog } })
    : createLogger({ level: 'silent', role: 'worker' });
  return startWorker({
    config,
    openFiles: () => openFileStore(config.store),
    logger,
    metrics: createMetrics('worker'),
  });
};
