import { on } from 'node:events';
import { Worker } from 'node:worker_threads';
import { type ByteRange, InputError, type InputRecord } from '@promptmill/files';
import { createTakeTurns } from './take-turns.ts';

/** What a hostile file can make a thread take. Beyond it the file is refused, and the process goes on. */
const maxHeapMb = 512;
/** A larger piece of a file, such as a column of a row group, is not read. */
const maxPieceBytes = 256 * 2 ** 20;
/** A thread that is at work for so long without a word is given up. */
const maxSilenceMs = 60_000;

export type FromParquetThread =
  | { readonly kind: 'read'; readonly id: number; readonly range: Required<ByteRange> }
  | { readonly kind: 'rows'; readonly rows: InputRecord[] }
  | { readonly kind: 'failed'; readonly message: string }
  | { readonly kind: 'end' };

export type ToParquetThread =
  | { readonly kind: 'bytes'; readonly id: number; readonly bytes: Uint8Array<ArrayBuffer> }
  | { readonly kind: 'next' };

/** What the thread is to read. */
export interface ParquetOfThread {
  /** How long the file is. */
  readonly bytes: number;
  /** A row with more is not handed on. */
  readonly maxRowCharacters: number;
}

export interface StoredParquet extends ParquetOfThread {
  readonly tenant: string;
  readonly read: (range: Required<ByteRange>) => Promise<Buffer>;
  readonly signal: AbortSignal;
}

const refuse = (why: string, cause?: unknown): InputError =>
  new InputError('input_invalid', `this Parquet file ${why}: write smaller row groups`, { cause });

async function* readInThread({ bytes, maxRowCharacters, read, signal }: StoredParquet): AsyncGenerator<InputRecord[]> {
  const thread = new Worker(new URL('./parquet-thread.ts', import.meta.url), {
    workerData: { bytes, maxRowCharacters } satisfies ParquetOfThread,
    resourceLimits: { maxOldGenerationSizeMb: maxHeapMb },
  });
  const send = (message: ToParquetThread): void => thread.postMessage(message);
  const silence = new AbortController();
  const expectNews = () => setTimeout(() => silence.abort(), maxSilenceMs);
  let timer = expectNews();
  try {
    const options = { close: ['exit'], signal: AbortSignal.any([signal, silence.signal]) };
    for await (const [message] of on(thread, 'message', options) as AsyncIterable<[FromParquetThread]>) {
      clearTimeout(timer);
      if (message.kind === 'end') return;
      if (message.kind === 'failed') throw new InputError('input_invalid', message.message);
      if (message.kind === 'rows') {
        yield message.rows;
        send({ kind: 'next' });
      } else {
        const { id, range } = message;
        if (range.end - range.start > maxPieceBytes) throw refuse('has too large row groups');
        send({ kind: 'bytes', id, bytes: new Uint8Array(await read(range)) });
      }
      timer = expectNews();
    }
  } catch (error) {
    signal.throwIfAborted();
    if (silence.signal.aborted) throw refuse('takes too long', error);
    if ((error as NodeJS.ErrnoException).code !== 'ERR_WORKER_OUT_OF_MEMORY') throw error;
    throw refuse('takes too much memory', error);
  } finally {
    clearTimeout(timer);
    await thread.terminate();
  }
}

/**
 * Reads the rows of a stored Parquet file in a thread of its own, so that the event loop goes on, and its memory has a
 * limit. A tenant's files are read one after another.
 */
export const createReadParquetApart = () => {
  const takeTurn = createTakeTurns();
  return async function* (file: StoredParquet): AsyncGenerator<InputRecord[]> {
    const end = await takeTurn(file.tenant);
    try {
      file.signal.throwIfAborted();
      yield* readInThread(file);
    } finally {
      end();
    }
  };
};

export type ReadParquetApart = ReturnType<typeof createReadParquetApart>;
