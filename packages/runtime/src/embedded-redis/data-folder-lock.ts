import { linkSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { EmbeddedRedisError } from './embedded-redis-error.ts';
import { isRunning, readProcessRecord, recordOfProcess } from './process-record.ts';

export interface DataFolderLock {
  release(): void;
}

const maxAttempts = 10;

const tryLink = (from: string, to: string): boolean => {
  try {
    linkSync(from, to);
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EEXIST') return false;
    throw error;
  }
};

/**
 * Makes this process the owner of the data folder, unless another live process owns it.
 *
 * @throws EmbeddedRedisError `data_folder_in_use` while another owner lives.
 */
export const lockDataFolder = (dataDirectory: string): DataFolderLock => {
  const file = join(dataDirectory, 'promptmill.lock');
  const mine = `${file}.${process.pid}`;
  const stale = `${mine}.stale`;
  writeFileSync(mine, JSON.stringify(recordOfProcess(process.pid)), { mode: 0o600 });
  try {
    for (let attempt = 0; attempt < maxAttempts; attempt++) {
      // A link appears together with its content.
      if (tryLink(mine, file)) return { release: () => rmSync(file, { force: true }) };
      const owner = readProcessRecord(file);
      if (owner && isRunning(owner))
        throw new EmbeddedRedisError(
          'data_folder_in_use',
          `${dataDirectory} is in use by process ${owner.pid}: wait for it, stop it, or name another folder in PROMPTMILL_DATA_DIR`,
          { ownerPid: owner.pid },
        );
      moveStaleAway(file, stale);
    }
    throw new EmbeddedRedisError('data_folder_in_use', `${dataDirectory}: others keep taking ${file}`);
  } finally {
    rmSync(mine, { force: true });
    rmSync(stale, { force: true });
  }
};

/** Moves a stale lock away. If another process has put its own lock there meanwhile, that lock is put back. */
const moveStaleAway = (file: string, stale: string): void => {
  try {
    renameSync(file, stale);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return;
    throw error;
  }
  const owner = readProcessRecord(stale);
  if (owner && isRunning(owner)) tryLink(stale, file);
};
