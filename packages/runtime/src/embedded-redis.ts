import { existsSync, mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { type DataFolderLock, lockDataFolder } from './embedded-redis/data-folder-lock.ts';
import { EmbeddedRedisError } from './embedded-redis/embedded-redis-error.ts';
import { hasDocker, mayHaveContainer, startRedisContainer } from './embedded-redis/redis-container.ts';
import { openRedisFolder, type RedisFolder } from './embedded-redis/redis-folder.ts';
import { adoptRedisServer, findRedisServer, startRedisServer } from './embedded-redis/redis-server.ts';
import { type RunningRedis, waitUntilReady } from './embedded-redis/running-redis.ts';
import type { Logger } from './logger.ts';

export { EmbeddedRedisError, type EmbeddedRedisErrorCode } from './embedded-redis/embedded-redis-error.ts';

export interface EmbeddedRedisOptions {
  /** An absolute path. Redis keeps its files in the folder `redis` in it. */
  readonly dataDirectory: string;
  /** How much memory its data may take, in Redis's notation. Redis refuses what would add more. */
  readonly maxmemory: string;
  readonly logger: Logger;
  /** Programs to look for, in order. Default: redis-server, valkey-server. */
  readonly serverCommands?: readonly string[];
  /** Default: docker. */
  readonly dockerCommand?: string;
}

export interface EmbeddedRedis {
  /** The path of a socket, or a URL when Redis runs in Docker. */
  readonly url: string;
  /** Undefined when Redis runs in Docker. */
  readonly pid?: number;
  /** Stops Redis with all its data on disk, and releases the data folder. */
  close(): Promise<void>;
}

const howToInstall =
  'Promptmill keeps its queue in Redis, and found neither redis-server nor valkey-server (7.0 or newer), nor Docker. ' +
  'Install one (apt-get install redis-server, brew install redis, dnf install valkey, apk add redis), ' +
  'or name a running one in REDIS_URL.';

const serverPrograms = ['redis-server', 'valkey-server'];

/** The program that would start an embedded Redis on this machine, or `docker`; undefined when there is neither. */
export const findRedis = async (): Promise<string | undefined> =>
  (await findRedisServer(serverPrograms)) ?? ((await hasDocker('docker')) ? 'docker' : undefined);

/**
 * The URL of the embedded Redis that another process runs on a data folder. Undefined when there is none, or it runs in
 * Docker. A Redis that was killed may have left its URL behind.
 */
export const findEmbeddedRedis = (dataDirectory: string): string | undefined => {
  if (!existsSync(join(dataDirectory, 'redis'))) return undefined;
  const { socket } = openRedisFolder(dataDirectory);
  return existsSync(socket) ? socket : undefined;
};

const findOrStart = async (folder: RedisFolder, options: EmbeddedRedisOptions): Promise<RunningRedis> => {
  const { maxmemory, logger, dockerCommand = 'docker' } = options;
  const adopted = await adoptRedisServer(folder, logger);
  if (adopted) return adopted;
  // A container may still use the append-only file, and two servers on one file would ruin it.
  if (mayHaveContainer(folder)) return startRedisContainer(dockerCommand, folder, maxmemory, logger);
  const command = await findRedisServer(options.serverCommands ?? serverPrograms);
  if (command) return startRedisServer(command, folder, maxmemory, logger);
  if (await hasDocker(dockerCommand)) return startRedisContainer(dockerCommand, folder, maxmemory, logger);
  throw new EmbeddedRedisError('no_redis', howToInstall);
};

const startLocked = async (options: EmbeddedRedisOptions, lock: DataFolderLock): Promise<EmbeddedRedis> => {
  const folder = openRedisFolder(options.dataDirectory);
  const redis = await findOrStart(folder, options);
  if (!(await waitUntilReady(redis, options.logger)))
    throw new EmbeddedRedisError(
      'redis_failed',
      `Redis stopped while starting. ${folder.log} ends:\n${folder.logTail()}`,
    );
  return {
    url: redis.url,
    ...(redis.pid === undefined ? {} : { pid: redis.pid }),
    async close() {
      await redis.stop();
      folder.tidy();
      lock.release();
    },
  };
};

/**
 * Starts a durable Redis of Promptmill's own, for when REDIS_URL is not set. It listens on a Unix socket in the data
 * folder. It survives a kill of this process, and the next run takes it over.
 *
 * @throws EmbeddedRedisError
 */
export const startEmbeddedRedis = async (options: EmbeddedRedisOptions): Promise<EmbeddedRedis> => {
  mkdirSync(options.dataDirectory, { recursive: true, mode: 0o700 });
  const lock = lockDataFolder(options.dataDirectory);
  try {
    return await startLocked(options, lock);
  } catch (error) {
    lock.release();
    throw error;
  }
};
