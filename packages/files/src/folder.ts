import { mkdir, open } from 'node:fs/promises';
import path from 'node:path';
import { ignoreMissing } from './disk-error.ts';

/**
 * Runs `use`, and makes `folder` only when that fails for want of it: where the folder is there, which is nearly always,
 * nothing is spent on asking. Tries again a few times, since others may delete the folder in between.
 */
export async function inFolder<T>(folder: string, use: () => Promise<T>): Promise<T> {
  for (let triesLeft = 3; triesLeft > 0; triesLeft -= 1) {
    try {
      return await use();
    } catch (error) {
      ignoreMissing(error);
    }
    await makeFolder(folder);
  }
  return await use();
}

/** Makes `folder` and the folders above it where missing, durably. */
export async function makeFolder(folder: string): Promise<void> {
  const firstMade = await mkdir(folder, { recursive: true });
  if (firstMade === undefined) return;
  const top = path.dirname(firstMade);
  for (let at = folder; at !== top;) {
    at = path.dirname(at);
    await syncFolder(at);
  }
}

/** Makes the names in `folder` durable: a rename is not, before this. A folder deleted meanwhile has none. */
export async function syncFolder(folder: string): Promise<void> {
  const handle = await open(folder, 'r').catch(ignoreMissing);
  if (!handle) return;
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}
