import { parentPort, workerData } from 'node:worker_threads';
import { InputError, readParquet } from '@promptmill/files';
import type { FromParquetThread, ParquetOfThread, ToParquetThread } from './read-parquet-apart.ts';

/** The thread of `read-parquet-apart.ts`: it asks for the bytes that it needs, and for leave before it reads on. */
const waiting = new Map<number | 'next', (bytes: ArrayBuffer) => void>();
let lastId = 0;

const send = (message: FromParquetThread): void => parentPort?.postMessage(message);

parentPort?.on('message', (message: ToParquetThread) => {
  const name = message.kind === 'bytes' ? message.id : 'next';
  const resolve = waiting.get(name);
  waiting.delete(name);
  resolve?.(message.kind === 'bytes' ? message.bytes.buffer : new ArrayBuffer(0));
});
const answerTo = (name: number | 'next'): Promise<ArrayBuffer> =>
  new Promise((resolve) => void waiting.set(name, resolve));

/** About what the thread's memory holds. */
const maxGroupValues = 10_000_000;

const { bytes: byteLength, maxRowCharacters } = workerData as ParquetOfThread;
const slice = (start: number, end = byteLength): Promise<ArrayBuffer> => {
  const id = ++lastId;
  send({ kind: 'read', id, range: { start, end } });
  return answerTo(id);
};

try {
  for await (const rows of readParquet(async () => ({ byteLength, slice }), { maxGroupValues, maxRowCharacters })) {
    send({ kind: 'rows', rows });
    await answerTo('next');
  }
  send({ kind: 'end' });
} catch (error) {
  if (!(error instanceof InputError)) throw error;
  send({ kind: 'failed', message: error.message });
}
