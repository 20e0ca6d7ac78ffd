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

/**
 * Writes a file that is there whole or not at all: under another name beside it, synced, then renamed.
 *
 * @param chunks text in pieces of any size; when they throw, what was at `path` before stays.
 */
export const writeFileWhole = async (path: string, chunks: AsyncIterable<string> | Iterable<string>): Promise<void> => {
  const unfinished = `${path}.${process.pid}.tmp`;
  const file = await open(unfinished, 'w');
  try {
    let block = '';
    for await (const chunk of chunks) {
      block += chunk;
      if (block.length < blockChars) continue;
      await file.writeFile(block);
      block = '';
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
