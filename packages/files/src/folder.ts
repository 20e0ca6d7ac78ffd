import { chmod, mkdir, open, stat } from 'node:fs/promises';
import path from 'node:path';
import { ignoreMissing } from './disk-error.ts';

/**
 * Runs `use`, and creates `folder` only when `use` fails because it is missing: the folder is nearly always there, so
 * this saves a check. It tries a few times, since others may delete the folder in between.
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

/** Only this user may enter a folder of the store. */
const folderMode = 0o700;

/** Creates `folder` and its missing parents, durably. */
export async function makeFolder(folder: string): Promise<void> {
  const firstMade = await mkdir(folder, { recursive: true, mode: folderMode });
  if (firstMade === undefined) return;
  const top = path.dirname(firstMade);
  for (let at = folder; at !== top;) {
    at = path.dirname(at);
    await syncFolder(at);
  }
}

/** Closes a folder to other users, if it is there and belongs to this one. */
export async function makePrivate(folder: string): Promise<void> {
  const found = await stat(folder).catch(ignoreMissing);
  if (!found || found.uid !== process.getuid?.() || (found.mode & 0o777) === folderMode) return;
  await chmod(folder, folderMode);
}

/** Makes the names in `folder` durable, so also a rename into it. A folder that was deleted meanwhile is no error. */
export async function syncFolder(folder: string): Promise<void> {
  const handle = await open(folder, 'r').catch(ignoreMissing);
  if (!handle) return;
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}
