import { createHash } from 'node:crypto';
import { createReadStream, createWriteStream } from 'node:fs';
import { open, rm } from 'node:fs/promises';
import { pipeline as connect, type Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { createGunzip } from 'node:zlib';
import { detectFormat, type InputFormat, isGzip, readParquet, type RecordSource } from '@promptmill/files';
import { asyncBufferFromFile } from 'hyparquet';
import type { CliContext } from '../context.ts';
import { CliError } from '../cli-error.ts';
import { cliAdvice } from './cli-advice.ts';

export interface OpenInputOptions {
  /** The path of a file, or `-` for standard input. */
  readonly input: string;
  /** Default: as the content and the name say. */
  readonly format: InputFormat | undefined;
  /** Files that are needed for a while are named after it: what standard input brings, an unpacked Parquet file. */
  readonly scratchPath: string;
}

/** An input that can be read as often as needed. */
export interface OpenedInput extends RecordSource, AsyncDisposable {
  /** SHA-256 of the bytes as they were given, in hex. */
  readonly digest: string;
}

const readBytes = 256 * 1024;
const headBytes = 4096;

/** What messages call an input. */
export const nameOfInput = (input: string): string => (input === '-' ? 'stdin' : input);

const readError = (input: string, error: unknown): unknown => {
  const code = error instanceof Error && 'code' in error ? String(error.code) : '';
  if (code === 'ENOENT') return new CliError('input_missing', `there is no file ${input}`);
  if (code === 'EISDIR')
    return new CliError('input_unreadable', `${input} is a folder: name a file, or let promptmill run take the folder`);
  if (code === 'EACCES') return new CliError('input_unreadable', `${input} may not be read by this user`);
  if (code.startsWith('Z_')) return new CliError('input_unreadable', `${nameOfInput(input)} is a damaged gzip file`);
  return error;
};

const unpacked = (path: string, isPacked: boolean): Readable => {
  const source = createReadStream(path, { highWaterMark: readBytes });
  // Whatever ends one of the two ends the other; the reader of the second sees the error.
  return isPacked ? connect(source, createGunzip({ chunkSize: readBytes }), () => {}) : source;
};

const headOf = async (source: AsyncIterable<Uint8Array>): Promise<Buffer> => {
  let head = Buffer.alloc(0);
  for await (const chunk of source) {
    head = Buffer.concat([head, chunk]);
    if (head.length >= headBytes) break;
  }
  return head;
};

/**
 * Opens an input: reads it once for its digest, and finds out what it holds. Standard input is kept in a file.
 *
 * @throws CliError `input_missing`, `input_unreadable`; InputError `format_unknown`.
 */
export const openInput = async (
  { input, format, scratchPath }: OpenInputOptions,
  { stdin, signal }: Pick<CliContext, 'stdin' | 'signal'>,
): Promise<OpenedInput> => {
  await using stack = new AsyncDisposableStack();
  const keptPath = `${scratchPath}.stdin`;
  const unpackedPath = `${scratchPath}.unpacked`;
  stack.defer(async () => {
    await rm(keptPath, { force: true });
    await rm(unpackedPath, { force: true });
  });
  const path = input === '-' ? keptPath : input;

  async function* read(source: Readable): AsyncGenerator<Uint8Array> {
    try {
      for await (const chunk of source) {
        signal.throwIfAborted();
        yield chunk as Uint8Array;
      }
    } catch (error) {
      throw readError(input, error);
    }
  }

  const hash = createHash('sha256');
  const file = input === '-' ? await open(keptPath, 'wx', 0o600) : undefined;
  try {
    for await (const chunk of read(input === '-' ? stdin : unpacked(input, false))) {
      hash.update(chunk);
      await file?.writeFile(chunk);
    }
  } finally {
    await file?.close();
  }
  const isPacked = isGzip(await headOf(read(unpacked(path, false))));
  const bytes = (): AsyncIterable<Uint8Array> => read(unpacked(path, isPacked));
  const found = format ?? detectFormat(input, await headOf(bytes()), cliAdvice);

  const opened = stack.move();
  return {
    format: found,
    digest: hash.digest('hex'),
    bytes,
    parquet: () =>
      readParquet(async () => {
        if (!isPacked) return asyncBufferFromFile(path);
        await pipeline(bytes(), createWriteStream(unpackedPath, { mode: 0o600 }));
        return asyncBufferFromFile(unpackedPath);
      }),
    [Symbol.asyncDispose]: () => opened.disposeAsync(),
  };
};
