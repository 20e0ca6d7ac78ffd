import { once } from 'node:events';
import { PassThrough } from 'node:stream';
import type { FileStore } from '@promptmill/files';

const chunkBytes = 64 * 1024;
const newline = 0x0a;

/**
 * A result file in the making, streamed into the store. Nothing is stored when it gets no line, and nothing is visible
 * before {@link finish}.
 */
export const openResultFile = (files: FileStore, key: string) => {
  let chunk = Buffer.alloc(0);
  let filled = 0;
  let count = 0;
  let started: { stream: PassThrough; stored: Promise<{ bytes: number }>; failed: AbortSignal } | undefined;

  const start = () => {
    const stream = new PassThrough();
    // An abort may come before the store reads, and so before anything else listens.
    stream.on('error', () => {});
    const stored = files.put(key, stream);
    const failed = new AbortController();
    // Whoever waits for it next learns of a failure; until then it must not count as unhandled.
    stored.catch(() => failed.abort());
    return { stream, stored, failed: failed.signal };
  };

  const flush = async (): Promise<void> => {
    started ??= start();
    const { stream, stored, failed } = started;
    const full = chunk.subarray(0, filled);
    // The stream keeps it until the store has it.
    chunk = Buffer.alloc(0);
    filled = 0;
    if (!stream.write(full)) await once(stream, 'drain', { signal: failed }).catch(() => stored);
  };

  return {
    /** Copies the lines, which have no newline yet. */
    async write(lines: readonly Buffer[]): Promise<void> {
      for (const line of lines) {
        const length = line.length + 1;
        if (filled > 0 && filled + length > chunk.length) await flush();
        if (chunk.length === 0) chunk = Buffer.allocUnsafe(Math.max(chunkBytes, length));
        line.copy(chunk, filled);
        filled += length;
        chunk[filled - 1] = newline;
      }
      count += lines.length;
    },

    /** Publishes the file, if there is one. */
    async finish(): Promise<{ lines: number; bytes: number }> {
      if (count === 0) return { lines: 0, bytes: 0 };
      await flush();
      started?.stream.end();
      return { lines: count, bytes: (await started?.stored)?.bytes ?? 0 };
    },

    /** Leaves nothing behind. */
    async abort(reason: Error): Promise<void> {
      started?.stream.destroy(reason);
      await started?.stored.catch(() => {});
    },
  };
};
