import type { Readable } from 'node:stream';

/**
 * Keeps files, each under a key.
 *
 * A key is one or more segments of `[A-Za-z0-9._-]` (1–255 characters, not `.` or `..`) joined by `/`,
 * 1,024 characters at most. A store must not hold two keys that differ only in case, or of which one is a folder of the
 * other (`a` and `a/b`): a disk cannot hold both. A prefix is a folder: `''` for all, or a key followed by `/`.
 *
 * Every method rejects with {@link FileStoreError}, or unchanged with what a source threw or with a signal's reason.
 */
export interface FileStore {
  /**
   * Stores all of `source` under `key`, and replaces an older file. Nothing of it is visible until all bytes are
   * durable; when the source throws or `signal` aborts, the older file stays as it was. A stream is read no faster than
   * it can be written, and may use a chunk again when it is asked for the next. When `signal` aborts, the source is told
   * to return, and the put does not wait for it.
   */
  put(key: string, source: FileSource, options?: { signal?: AbortSignal }): Promise<{ bytes: number }>;
  /**
   * Opens a file. The stream gives the bytes of this moment, whatever happens to the key later. The caller must read it
   * to its end or destroy it. A range beyond the end gives the part that exists.
   * @throws FileStoreError `not_found`, before anything streams
   */
  get(key: string, range?: ByteRange): Promise<Readable>;
  /** The size in bytes; `undefined` when there is no such file. */
  size(key: string): Promise<number | undefined>;
  /** Deletes a file, and returns whether there was one. */
  delete(key: string): Promise<boolean>;
  /** Deletes a folder with all that is in it. A missing folder is no error. The prefix `''` is refused. */
  deletePrefix(prefix: string): Promise<void>;
  /** Lists all files in a folder and in the folders below it, in no particular order. */
  list(prefix: string): AsyncIterable<StoredFile>;
  /** Deletes unfinished files of killed processes that did not change for `olderThanMs`, and returns how many. */
  removeAbandoned(olderThanMs: number): Promise<number>;
}

export type FileSource = AsyncIterable<Uint8Array> | Uint8Array | string;

/** In bytes, `start` from 0, `end` exclusive. */
export interface ByteRange {
  start?: number;
  end?: number;
}

export interface StoredFile {
  key: string;
  bytes: number;
}

/** `unavailable` is any fault of the disk or service that has no code of its own; the cause says which. */
export type FileStoreErrorCode =
  | 'not_found'
  | 'invalid_key'
  | 'invalid_range'
  | 'no_space'
  | 'read_only'
  | 'unavailable';

export class FileStoreError extends Error {
  override readonly name = 'FileStoreError';
  readonly code: FileStoreErrorCode;

  constructor(code: FileStoreErrorCode, message: string, options?: ErrorOptions) {
    super(message, options);
    this.code = code;
  }
}

const maxKeyLength = 1024;
const keyPattern = /^(?!\.{1,2}(?:\/|$))[\w.-]{1,255}(?:\/(?!\.{1,2}(?:\/|$))[\w.-]{1,255})*$/;

export function isKey(key: string): boolean {
  return key.length <= maxKeyLength && keyPattern.test(key);
}

/** @throws FileStoreError `invalid_key` */
export function assertKey(key: string): void {
  if (isKey(key)) return;
  throw new FileStoreError('invalid_key', `not a valid key: ${JSON.stringify(key.slice(0, 100))}`);
}

/** @throws FileStoreError `invalid_key` */
export function assertPrefix(prefix: string): void {
  if (prefix === '') return;
  if (!prefix.endsWith('/')) {
    throw new FileStoreError('invalid_key', `a prefix ends in "/": ${JSON.stringify(prefix.slice(0, 100))}`);
  }
  assertKey(prefix.slice(0, -1));
}

/** @throws FileStoreError `invalid_range` */
export function assertRange({ start = 0, end = start }: ByteRange): void {
  if (!Number.isSafeInteger(start) || !Number.isSafeInteger(end) || start < 0 || end < start) {
    throw new FileStoreError('invalid_range', `not a valid range: ${start} to ${end}`);
  }
}
