import { randomUUID } from 'node:crypto';
import { open, rename, rm } from 'node:fs/promises';
import { dirname } from 'node:path';

const blockChars = 256 * 1024;

const syncFolder = async (path: string): Promise<void> => {
  const folder = await open(path, 'r');
  try {
    await folder.sync();
  } finally {
    await folder.close();
  }
};

export interface WriteFileOptions {
  /** `private`: only this user may read the file. `shared`: who may read it follows the umask. */
  readonly access: 'private' | 'shared';
}

const modes = { private: 0o600, shared: 0o666 } as const;

/**
 * Writes a file whole or not at all: writes it under another name beside `path`, syncs it, then renames it. Others may
 * write in that folder too, so nobody can guess the other name, and `wx` takes no file or link that is there already.
 *
 * @param chunks text or bytes in pieces of any size; when reading them throws, `path` stays as it was.
 */
export const writeFileWhole = async (
  path: string,
  chunks: AsyncIterable<string | Uint8Array> | Iterable<string>,
  { access }: WriteFileOptions,
): Promise<void> => {
  const unfinished = `${path}.${randomUUID()}.tmp`;
  const file = await open(unfinished, 'wx', modes[access]);
  try {
    let block = '';
    for await (const chunk of chunks) {
      const isText = typeof chunk === 'string';
      if (isText) block += chunk;
      if (isText && block.length < blockChars) continue;
      await file.writeFile(block);
      block = '';
      if (!isText) await file.writeFile(chunk);
    }
    await file.writeFile(block);
    await file.sync();
    await file.close();
    await rename(unfinished, path);
  } catch (error) {
    await file.close().catch(() => {});
    await rm(unfinished, { force: true });
    throw error;
  }
  await syncFolder(dirname(path));
};
