import { once } from 'node:events';
import { PassThrough } from 'node:stream';
import type { FileStore } from '@promptmill/files';

const chunkCharacters = 64 * 1024;

/**
 * A result file in the making, streamed into the store. Nothing is stored when it gets no line, and nothing is visible
 * before {@link finish}.
 */
export const openResultFile = (files: FileStore, key: string) => {
  let chunk = '';
  let lines = 0;
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
    const text = chunk;
    chunk = '';
    if (!stream.write(text)) await once(stream, 'drain', { signal: failed }).catch(() => stored);
  };

  return {
    async write(line: string): Promise<void> {
      chunk += `${line}\n`;
      lines++;
      if (chunk.length >= chunkCharacters) await flush();
    },

    /** Publishes the file, if there is one. */
    async finish(): Promise<{ lines: number; bytes: number }> {
      if (lines === 0) return { lines: 0, bytes: 0 };
      await flush();
      started?.stream.end();
      return { lines, bytes: (await started?.stored)?.bytes ?? 0 };
    },

    /** Leaves nothing behind. */
    async abort(reason: Error): Promise<void> {
      started?.stream.destroy(reason);
      await started?.stored.catch(() => {});
    },
  };
};
