import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmdirSync } from 'node:fs';
import { mkdtemp, rm, rmdir, statfs, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';

const run = (command: 'mount' | 'umount', ...args: string[]): boolean => spawnSync(command, args).status === 0;
const mountTmpfs = (target: string, kibibytes: number): boolean =>
  run('mount', '-t', 'tmpfs', '-o', `size=${kibibytes}k`, 'tmpfs', target);

/** Whether this process may mount file systems: root on Linux may, in most containers nobody may. */
export const mayMount = (): boolean => {
  const target = mkdtempSync(join(tmpdir(), 'promptmill-mount-'));
  try {
    return process.platform === 'linux' && mountTmpfs(target, 64) && run('umount', target);
  } finally {
    rmdirSync(target);
  }
};

/** Mounts a disk of this many KiB, which a test can make full or read-only. */
export const mountSmallDisk = async (kibibytes: number) => {
  const directory = await mkdtemp(join(tmpdir(), 'promptmill-disk-'));
  if (!mountTmpfs(directory, kibibytes)) throw new Error(`cannot mount a tmpfs at ${directory}`);
  const filler = join(directory, 'filler~');
  return {
    directory,

    /** Fills the disk, and leaves room for this many KiB. Default: 0. */
    async fill(leave = 0): Promise<void> {
      await rm(filler, { force: true });
      const { bavail, bsize } = await statfs(directory);
      await writeFile(filler, Buffer.alloc(Math.max(0, bavail * bsize - leave * 1024)));
    },

    /** Empties the disk again. */
    free: () => rm(filler, { force: true }),

    /** Makes the disk read-only or writable. The first waits until no file is open for writing. */
    async setReadOnly(readOnly: boolean, timeoutMs = 5000): Promise<void> {
      const deadline = performance.now() + timeoutMs;
      while (!run('mount', '-o', `remount,${readOnly ? 'ro' : 'rw'}`, directory)) {
        if (performance.now() > deadline) throw new Error(`cannot remount ${directory} in ${timeoutMs} ms`);
        await delay(5);
      }
    },

    async unmount(): Promise<void> {
      if (!run('umount', directory)) throw new Error(`cannot unmount ${directory}`);
      await rmdir(directory);
    },
  };
};

export type SmallDisk = Awaited<ReturnType<typeof mountSmallDisk>>;
