import { execFile } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import type { Logger } from '../logger.ts';
import { EmbeddedRedisError } from './embedded-redis-error.ts';
import type { RedisFolder } from './redis-folder.ts';
import { redisOptions } from './redis-server.ts';
import type { RunningRedis } from './running-redis.ts';

const image = 'redis:8-alpine';
const answerTimeoutMs = 5000;
const startTimeoutMs = 30_000;
const stopTimeoutSeconds = 30;

const run = promisify(execFile);

/** Whether a Docker engine answers. */
export const hasDocker = async (docker: string): Promise<boolean> => {
  try {
    await run(docker, ['version', '--format', '{{.Server.Version}}'], { timeout: answerTimeoutMs });
    return true;
  } catch {
    return false;
  }
};

// Every user of the machine can reach the port, but only this user the folder with the password.
const passwordFor = (folder: RedisFolder): string => {
  const file = join(folder.directory, 'container.password');
  try {
    return readFileSync(file, 'utf8');
  } catch {
    const password = randomBytes(24).toString('hex');
    writeFileSync(file, password, { mode: 0o600 });
    return password;
  }
};

const configFor = (password: string, maxmemory: string): string =>
  Object.entries({
    requirepass: password,
    dir: '/data',
    logfile: '/data/redis.log',
    maxmemory,
    ...redisOptions,
  })
    .map(([option, value]) => `${option} ${JSON.stringify(value)}\n`)
    .join('');

const configFileIn = (folder: RedisFolder): string => join(folder.directory, 'container.conf');

/** Whether a container was started on the folder and not stopped, so that it may still run. */
export const mayHaveContainer = (folder: RedisFolder): boolean => existsSync(configFileIn(folder));

/**
 * Starts Redis in a container, for machines with Docker and no Redis. Its port is published on loopback only. If a
 * killed run has left its container, this takes it over.
 */
export const startRedisContainer = async (
  docker: string,
  folder: RedisFolder,
  maxmemory: string,
  logger: Logger,
): Promise<RunningRedis> => {
  const name = `promptmill-${folder.id}`;
  const password = passwordFor(folder);
  const portOf = async (): Promise<string | undefined> => {
    const { stdout } = await run(docker, ['port', name, '6379/tcp']).catch(() => ({ stdout: '' }));
    return /:(\d+)\s*$/.exec(stdout)?.[1];
  };

  const start = async (): Promise<string | undefined> => {
    writeFileSync(configFileIn(folder), configFor(password, maxmemory), { mode: 0o600 });
    logger.info({ image, container: name }, 'starting Redis in Docker');
    const options = `--detach --rm --name ${name} --publish 127.0.0.1::6379`.split(' ');
    const user = `${process.getuid?.()}:${process.getgid?.()}`;
    const volume = `${folder.directory}:/data`;
    const command = [image, 'redis-server', '/data/container.conf'];
    await run(docker, ['run', ...options, '--user', user, '--volume', volume, ...command]).catch((error) => {
      throw new EmbeddedRedisError('redis_failed', `Docker did not start Redis: ${(error as Error).message}`);
    });
    return portOf();
  };

  const port = (await portOf()) ?? (await start());
  if (port === undefined)
    throw new EmbeddedRedisError('redis_failed', `Redis stopped while starting:\n${folder.logTail()}`);
  const deadline = performance.now() + startTimeoutMs;
  return {
    url: `redis://:${password}@127.0.0.1:${port}`,
    isRunning: () => performance.now() < deadline,
    async stop() {
      await run(docker, ['stop', '--time', String(stopTimeoutSeconds), name]);
      rmSync(configFileIn(folder), { force: true });
    },
  };
};
