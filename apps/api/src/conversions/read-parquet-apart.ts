import { on } from 'node:events';
import { Worker } from 'node:worker_threads';
import { type ByteRange, InputError, type InputRecord } from '@promptmill/files';
import { createTakeTurns } from './take-turns.ts';

/** What a hostile file can make a thread take. Beyond it the file is refused, and the process goes on. */
const maxHeapMb = 512;
/** A larger piece of a file, such as a column of a row group, is not read. */
const maxPieceBytes = 256 * 2 ** 20;

export type FromParquetThread =
  | { readonly kind: 'read'; readonly id: number; readonly range: Required<ByteRange> }
  | { readonly kind: 'rows'; readonly rows: InputRecord[] }
  | { readonly kind: 'failed'; readonly message: string }
  | { readonly kind: 'end' };

export type ToParquetThread =
  | { readonly kind: 'bytes'; readonly id: number; readonly bytes: Uint8Array<ArrayBuffer> }
  | { readonly kind: 'next' };

export interface StoredParquet {
  readonly tenant: string;
  readonly bytes: number;
  readonly read: (range: Required<ByteRange>) => Promise<Buffer>;
  readonly signal: AbortSignal;
}

async function* readInThread({ bytes, read, signal }: StoredParquet): AsyncGenerator<InputRecord[]> {
  const thread = new Worker(new URL('./parquet-thread.ts', import.meta.url), {
    workerData: bytes,
    resourceLimits: { maxOldGenerationSizeMb: maxHeapMb },
  });
  const send = (message: ToParquetThread): void => thread.postMessage(message);
  try {
    for await (const [message] of on(thread, 'message', { close: ['exit'], signal }) as AsyncIterable<
      [FromParquetThread]
    >) {
      switch (message.kind) {
        case 'read': {
          const { id, range } = message;
          if (range.end - range.start > maxPieceBytes)
            throw new InputError(
              'input_invalid',
              'the row groups of this Parquet file are too large: write smaller ones',
            );
          send({ kind: 'bytes', id, bytes: new Uint8Array(await read(range)) });
          break;
        }
        case 'rows':
          yield message.rows;
          send({ kind: 'next' });
          break;
        case 'failed':
          throw new InputError('input_invalid', message.message);
        case 'end':
          return;
      }
    }
  } catch (error) {
    signal.throwIfAborted();
    if ((error as NodeJS.ErrnoException).code !== 'ERR_WORKER_OUT_OF_MEMORY') throw error;
    throw new InputError('input_invalid', 'this Parquet file takes too much memory: write smaller row groups', {
      cause: error,
    });
  } finally {
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
