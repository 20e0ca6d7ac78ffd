import type { FileHandle } from 'node:fs/promises';
import { abortableSource } from './abortable-source.ts';
import { throwStoreError } from './disk-error.ts';
import type { FileSource } from './file-store.ts';

/** Small chunks are gathered into blocks of this size, so that a short line does not cost a system call. */
const blockBytes = 256 * 1024;

/** Writes all of `source` and returns its size in bytes. It reads the next chunk only when there is room for it. */
export async function writeSource(
  handle: FileHandle,
  source: FileSource,
  signal: AbortSignal | undefined,
): Promise<number> {
  const write = (bytes: Uint8Array) => handle.writeFile(bytes).catch(throwStoreError);

  if (typeof source === 'string' || source instanceof Uint8Array) {
    const whole = typeof source === 'string' ? Buffer.from(source) : source;
    await write(whole);
    return whole.length;
  }

  const block = Buffer.allocUnsafeSlow(blockBytes);
  let filled = 0;
  let written = 0;
  const flush = async () => {
    await write(block.subarray(0, filled));
    written += filled;
    filled = 0;
  };
  for await (const chunk of signal ? abortableSource(source, signal) : source) {
    if (filled > 0 && filled + chunk.length > blockBytes) await flush();
    if (chunk.length < blockBytes) {
      block.set(chunk, filled);
      filled += chunk.length;
    } else {
      await write(chunk);
      written += chunk.length;
    }
  }
  if (filled > 0) await flush();
  return written;
}
