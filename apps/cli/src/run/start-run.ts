import { once } from 'node:events';
import { createWriteStream } from 'node:fs';
import { join } from 'node:path';
import { type Config, createLogger, EmbeddedRedisError, loadConfig } from '@promptmill/runtime';
import { CliError } from '../cli-error.ts';
import type { CliContext } from '../context.ts';
import { type LaneOverrides, overrideLanes } from './override-lanes.ts';
import { startRedis } from '../roles/start-redis.ts';
import { type RunningRoles, startRoles } from '../roles/start-roles.ts';
import { startOwnSimulator } from '../roles/start-simulator.ts';

export interface StartRunOptions {
  readonly env: CliContext['env'];
  /** The run's own folder, for its log and, unless REDIS_URL names a Redis, for its Redis and files. */
  readonly folder: string;
  readonly withSimulator: boolean;
  readonly overrides: LaneOverrides;
  /** See `startRoles`. */
  readonly beforeWork: ((url: string) => Promise<void>) | undefined;
}

/** How long calls in flight may go on after Ctrl-C. */
const graceMs = 8000;

const openLog = (path: string, level: string) => {
  const stream = createWriteStream(path, { flags: 'a', mode: 0o600 });
  return {
    logger: createLogger({ level, role: 'run', stream }),
    async close(): Promise<void> {
      stream.end();
      await once(stream, 'close');
    },
  };
};

const explain = (error: unknown): unknown =>
  error instanceof EmbeddedRedisError && error.code === 'data_folder_in_use'
    ? new CliError('run_in_use', `process ${error.ownerPid} is already at work on this run: wait for it, or stop it`)
    : error;

/** Starts all that a run needs in this process: Redis unless REDIS_URL names one, the simulator if asked, all roles. */
export const startRun = async ({
  env,
  folder,
  withSimulator,
  overrides,
  beforeWork,
}: StartRunOptions): Promise<RunningRoles & { readonly config: Config }> => {
  await using stack = new AsyncDisposableStack();
  const { redisIsNamed, redisMaxmemory, logLevel } = loadConfig(env);
  const log = openLog(join(folder, 'promptmill.log'), logLevel);
  stack.defer(() => log.close());
  const started: Record<string, string> = {};

  if (!redisIsNamed) {
    const redis = await startRedis({
      dataDirectory: folder,
      maxmemory: redisMaxmemory,
      logger: log.logger,
    }).catch((error: unknown) => {
      throw explain(error);
    });
    stack.defer(() => redis.close());
    started['REDIS_URL'] = redis.url;
    started['PROMPTMILL_DATA_DIR'] = folder;
    // This Redis knows nothing of the files in a named store, so the run keeps its files beside it.
    started['PROMPTMILL_STORE'] = '';
  }
  if (withSimulator) {
    const simulator = await startOwnSimulator(env);
    stack.defer(() => simulator.close());
    Object.assign(started, simulator.variables);
  }
  const config = loadConfig({ ...env, ...started });
  const lanes = overrideLanes(config.lanes, overrides);
  const roles = await startRoles({ config: { ...config, lanes, graceMs }, logger: log.logger, beforeWork });
  stack.defer(() => roles.close());

  const running = stack.move();
  return { ...roles, config, close: () => running.disposeAsync() };
};
