import type { FileStore } from '@promptmill/files';

const chunkBytes = 256 * 1024;
const newline = 0x0a;

const ignore = (): void => {};

/** Hands chunks to a reader, one at a time. `give` resolves when the reader has used the chunk and asks for more. */
const createHandover = () => {
  let given = Promise.withResolvers<Buffer | undefined>();
  let used = Promise.withResolvers<void>();
  let refusal: { readonly reason: unknown } | undefined;

  async function* read(): AsyncGenerator<Buffer, void, undefined> {
    for (let chunk = await given.promise; chunk; chunk = await given.promise) {
      given = Promise.withResolvers();
      yield chunk;
      used.resolve();
    }
  }

  return {
    read,
    give: async (chunk: Buffer): Promise<void> => {
      if (refusal) throw refusal.reason;
      used = Promise.withResolvers();
      given.resolve(chunk);
      await used.promise;
    },
    /** There are no more chunks. */
    end: (): void => given.resolve(undefined),
    /** The reader fails with this reason. */
    fail: (reason: Error): void => {
      // The reader may have ended, and then nobody awaits the promise.
      given.promise.catch(ignore);
      given.reject(reason);
    },
    /** The reader takes no more chunks: `give` fails with this reason. */
    refuse: (reason: unknown): void => {
      refusal = { reason };
      used.promise.catch(ignore);
      used.reject(reason);
    },
  };
};

/**
 * A result file in the making, streamed into the store. Nothing is stored when it gets no line, and nothing is visible
 * before {@link finish}.
 */
export const openResultFile = (files: FileStore, key: string) => {
  const handover = createHandover();
  // One buffer serves the whole file: a store has used a chunk when it asks for the next.
  let chunk = Buffer.alloc(0);
  let filled = 0;
  let count = 0;
  let stored: Promise<{ bytes: number }> | undefined;

  const flush = async (): Promise<void> => {
    if (!stored) {
      stored = files.put(key, handover.read());
      stored.catch(handover.refuse);
    }
    const full = chunk.subarray(0, filled);
    filled = 0;
    await handover.give(full);
  };

  return {
    /** Adds lines, given without their newlines. Their bytes are copied. */
    async write(lines: readonly Buffer[]): Promise<void> {
      for (const line of lines) {
        const length = line.length + 1;
        if (filled > 0 && filled + length > chunk.length) await flush();
        if (length > chunk.length) chunk = Buffer.allocUnsafeSlow(Math.max(chunkBytes, length));
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
      handover.end();
      return { lines: count, bytes: (await stored)?.bytes ?? 0 };
    },

    /** Stops writing; nothing is stored. */
    async abort(reason: Error): Promise<void> {
      handover.fail(reason);
      await stored?.catch(ignore);
    },
  };
};
