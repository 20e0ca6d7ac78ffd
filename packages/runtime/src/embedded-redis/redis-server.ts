import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, openSync, rmSync, writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { isRedisSupported } from '@promptmill/core';
import type { Logger } from '../logger.ts';
import { EmbeddedRedisError } from './embedded-redis-error.ts';
import { isRunning, type ProcessRecord, readProcessRecord, recordOfProcess, stopProcess } from './process-record.ts';
import type { RedisFolder } from './redis-folder.ts';
import type { RunningRedis } from './running-redis.ts';

const stopTimeoutMs = 30_000;

const serverRecordOf = (folder: RedisFolder): string => join(folder.directory, 'server.json');

/** Returns the first of `commands` that is installed and new enough. */
export const findRedisServer = async (commands: readonly string[]): Promise<string | undefined> => {
  for (const command of commands)
    try {
      const { stdout } = await promisify(execFile)(command, ['--version']);
      if (isRedisSupported(/v=([\d.]+)/.exec(stdout)?.[1] ?? '')) return command;
    } catch {
      // The command is not installed.
    }
  return undefined;
};

/**
 * On SIGTERM Redis syncs, saves and exits as on the command SHUTDOWN.
 * Source: https://redis.io/docs/latest/operate/oss_and_stack/reference/signals/
 */
const stopServer = async (record: ProcessRecord, folder: RedisFolder): Promise<void> => {
  if (!(await stopProcess(record, stopTimeoutMs)))
    throw new EmbeddedRedisError('redis_failed', `Redis (process ${record.pid}) did not stop: see ${folder.log}`);
  rmSync(serverRecordOf(folder), { force: true });
};

const toRunning = (record: ProcessRecord, folder: RedisFolder, stop: () => Promise<void>): RunningRedis => ({
  url: folder.socket,
  pid: record.pid,
  isRunning: () => isRunning(record),
  stop,
});

/**
 * The options of a Redis that keeps every write that it has answered. With `everysec` Redis answers a write that comes
 * during a sync before the write leaves the process. Here a kill may end workers, collectors and Redis together, and
 * such a write would be lost.
 */
export const redisOptions: Readonly<Record<string, string>> = {
  appendonly: 'yes',
  appendfsync: 'always',
  // The append-only file is enough: no snapshots.
  save: '',
  // At its limit Redis refuses what adds data, and deletes nothing.
  'maxmemory-policy': 'noeviction',
  // A job with a short prompt is one piece of memory, which takes less of it and less time than a hash table.
  'hash-max-listpack-value': '1024',
};

const argumentsFor = ({ socket, directory }: RedisFolder, maxmemory: string): string[] =>
  Object.entries({
    port: '0',
    unixsocket: socket,
    unixsocketperm: '700',
    dir: directory,
    // Redis logs to standard output, so that what it says before it would open a log file is kept too.
    logfile: '',
    daemonize: 'no',
    maxmemory,
    ...redisOptions,
  }).flatMap(([option, value]) => [`--${option}`, value]);

const spawnServer = (command: string, folder: RedisFolder, maxmemory: string): ChildProcess => {
  const log = openSync(folder.log, 'a', 0o600);
  try {
    // Redis gets a process group of its own: Ctrl-C at the terminal must not stop it before the roles that use it.
    // Its files are for this user alone, whatever the umask here.
    const privately = ['-c', 'umask 077; exec "$0" "$@"', command, ...argumentsFor(folder, maxmemory)];
    return spawn('/bin/sh', privately, { detached: true, stdio: ['ignore', log, log] });
  } finally {
    closeSync(log);
  }
};

export const startRedisServer = async (
  command: string,
  folder: RedisFolder,
  maxmemory: string,
  logger: Logger,
): Promise<RunningRedis> => {
  const child = spawnServer(command, folder, maxmemory);
  const record = child.pid === undefined ? undefined : recordOfProcess(child.pid);
  // The record is written at once: if this process is killed, the next run finds the server by it.
  if (record) writeFileSync(serverRecordOf(folder), JSON.stringify(record), { mode: 0o600 });
  await once(child, 'spawn');
  if (!record) throw new EmbeddedRedisError('redis_failed', `${command} did not start:\n${folder.logTail()}`);
  logger.info({ command, redisPid: record.pid, log: folder.log }, 'started Redis');
  let stopping = false;
  child.once('exit', (code, signal) => {
    if (!stopping) logger.error({ redisPid: record.pid, code, signal, log: folder.log }, 'Redis has stopped');
  });
  return toRunning(record, folder, async () => {
    stopping = true;
    await stopServer(record, folder);
  });
};

const isListening = async (socket: string): Promise<boolean> => {
  const connection = connect(socket);
  try {
    await once(connection, 'connect');
    return true;
  } catch {
    return false;
  } finally {
    connection.destroy();
  }
};

/**
 * Takes over the server that a killed run has left, since a second server would ruin its append-only file. It stops a
 * server that it cannot reach any more.
 */
export const adoptRedisServer = async (folder: RedisFolder, logger: Logger): Promise<RunningRedis | undefined> => {
  const left = readProcessRecord(serverRecordOf(folder));
  const listening = await isListening(folder.socket);
  if (left && isRunning(left) && listening) {
    logger.info({ redisPid: left.pid }, 'took over the Redis of a run that was killed');
    return toRunning(left, folder, () => stopServer(left, folder));
  }
  if (listening)
    throw new EmbeddedRedisError(
      'redis_failed',
      `An unknown Redis listens on ${folder.socket}: stop it (redis-cli -s '${folder.socket}' shutdown)`,
    );
  if (left) await stopServer(left, folder);
  return undefined;
};
