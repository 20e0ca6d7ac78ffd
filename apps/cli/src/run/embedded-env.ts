import { randomBytes } from 'node:crypto';
import type { LimitsConfig } from '@promptmill/core';
import type { CliContext } from '../context.ts';
import { plannedSimulatorUrl } from '../roles/start-simulator.ts';

/** What opens a run's api and Bull Board. Every user of the machine can reach them, and only this process knows it. */
export interface RunLogin {
  readonly apiKey: string;
  readonly boardPassword: string;
}

export interface EmbeddedOptions extends Pick<LimitsConfig, 'concurrency'> {
  readonly dataDir?: string;
  readonly port?: number;
}

export const boardUser = 'run';

export const newLogin = (): RunLogin => ({
  apiKey: randomBytes(24).toString('base64url'),
  boardPassword: randomBytes(12).toString('base64url'),
});

/** The environment of the embedded roles: the user's, but on loopback only, with a key and a login of this run. */
export const embeddedEnv = (
  env: CliContext['env'],
  { dataDir, concurrency, port }: EmbeddedOptions,
  { apiKey, boardPassword }: RunLogin,
): CliContext['env'] => ({
  ...env,
  HOST: '127.0.0.1',
  PORT: String(port ?? 0),
  // The tenant of a server without keys, so that a run of an earlier version goes on.
  PROMPTMILL_API_KEYS: `local:${apiKey}`,
  PROMPTMILL_ADMIN_KEY: undefined,
  BOARD_USER: boardUser,
  BOARD_PASSWORD: boardPassword,
  PROMPTMILL_ALLOWED_HOSTS: undefined,
  PROMPTMILL_TRUST_PROXY: undefined,
  PROMPTMILL_METRICS_TOKEN: undefined,
  SIMULATOR_BASE_URL: env['SIMULATOR_BASE_URL'] || plannedSimulatorUrl,
  ...(dataDir === undefined ? {} : { PROMPTMILL_DATA_DIR: dataDir }),
  ...(concurrency === undefined ? {} : { WORKER_CONCURRENCY: String(concurrency) }),
});
