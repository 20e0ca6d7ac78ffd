import { createHash } from 'node:crypto';
import {
  chmodSync,
  closeSync,
  existsSync,
  fstatSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readFileSync,
  readSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { EmbeddedRedisError } from './embedded-redis-error.ts';

/** The smallest maximum of a supported system: macOS takes 104 bytes with the final NUL. */
const maxSocketPathBytes = 103;
const logTailBytes = 2000;

/** The folder in which the embedded Redis keeps its files. Only the user may enter it. */
export interface RedisFolder {
  readonly directory: string;
  readonly socket: string;
  readonly log: string;
  /** A short name of the data folder, for places where its path cannot stand. */
  readonly id: string;
  /** The end of the log, for an error message. */
  logTail(): string;
  /** Removes the socket's folder when it is outside the data folder. */
  tidy(): void;
}

const isOwnFolder = (path: string): boolean => {
  const stats = lstatSync(path, { throwIfNoEntry: false });
  return stats !== undefined && stats.isDirectory() && stats.uid === process.getuid?.();
};

const makePrivate = (directory: string): void => {
  mkdirSync(directory, { recursive: true, mode: 0o700 });
  if (!isOwnFolder(directory))
    throw new EmbeddedRedisError('redis_failed', `${directory} is not a folder of this user`);
  chmodSync(directory, 0o700);
};

/**
 * A folder for the socket, for a data folder whose path is too long for one. Everybody may write where it is, so nobody
 * can guess its name; the next process reads it in `record`.
 */
const openSocketFolder = (record: string): string => {
  const known = existsSync(record) ? readFileSync(record, 'utf8') : undefined;
  if (known !== undefined && isOwnFolder(known)) return known;
  const made = mkdtempSync(join(tmpdir(), 'promptmill-'));
  writeFileSync(record, made, { mode: 0o600 });
  return made;
};

const readTail = (file: string): string => {
  if (!existsSync(file)) return '';
  const descriptor = openSync(file, 'r');
  try {
    const { size } = fstatSync(descriptor);
    const buffer = Buffer.alloc(Math.min(size, logTailBytes));
    readSync(descriptor, buffer, 0, buffer.length, size - buffer.length);
    return buffer.toString();
  } finally {
    closeSync(descriptor);
  }
};

export const openRedisFolder = (dataDirectory: string): RedisFolder => {
  const directory = join(dataDirectory, 'redis');
  makePrivate(directory);
  const id = createHash('sha256').update(dataDirectory).digest('hex').slice(0, 16);
  const log = join(directory, 'redis.log');
  const inFolder = join(directory, 'redis.sock');
  const fits = Buffer.byteLength(inFolder) <= maxSocketPathBytes;
  const socketFolderRecord = join(directory, 'socket-folder');
  const socketFolder = fits ? directory : openSocketFolder(socketFolderRecord);
  return {
    directory,
    socket: join(socketFolder, 'redis.sock'),
    log,
    id,
    logTail: () => readTail(log),
    tidy() {
      if (fits) return;
      rmSync(socketFolder, { recursive: true, force: true });
      rmSync(socketFolderRecord, { force: true });
    },
  };
};
