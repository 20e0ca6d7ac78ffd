import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { setTimeout } from 'node:timers/promises';

/** Identifies a process for later: by then another process may have its id. */
export interface ProcessRecord {
  readonly pid: number;
  /** When the process started, in the operating system's own format. */
  readonly startedAt: string;
}

const pollMs = 20;

/** A start as `<boot>/<ticks since boot>`. Source: https://man7.org/linux/man-pages/man5/proc_pid_stat.5.html */
const startOnLinux = (pid: number): string | undefined => {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
    // The second field is a name in brackets with any characters. The third is the state, the 22nd the start.
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    if (fields[0] === 'Z' || fields[0] === 'X') return undefined;
    return `${readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim()}/${fields[19]}`;
  } catch {
    return undefined;
  }
};

const startOnBsd = (pid: number): string | undefined =>
  spawnSync('/bin/ps', ['-o', 'lstart=', '-p', String(pid)], {
    encoding: 'utf8',
    env: { LC_ALL: 'C' },
  }).stdout.trim() || undefined;

const startOf = process.platform === 'linux' ? startOnLinux : startOnBsd;

/** Returns undefined when there is no such process. */
export const recordOfProcess = (pid: number): ProcessRecord | undefined => {
  const startedAt = startOf(pid);
  return startedAt === undefined ? undefined : { pid, startedAt };
};

export const isRunning = ({ pid, startedAt }: ProcessRecord): boolean => startOf(pid) === startedAt;

/** Reads a record from a JSON file. Returns undefined when the file is missing or holds none. */
export const readProcessRecord = (file: string): ProcessRecord | undefined => {
  try {
    const { pid, startedAt } = JSON.parse(readFileSync(file, 'utf8')) as Partial<ProcessRecord>;
    return typeof pid === 'number' && typeof startedAt === 'string' ? { pid, startedAt } : undefined;
  } catch {
    return undefined;
  }
};

/** Sends SIGTERM and waits for the process to end. Returns false when it has not ended after `timeoutMs`. */
export const stopProcess = async (record: ProcessRecord, timeoutMs: number): Promise<boolean> => {
  if (isRunning(record)) process.kill(record.pid, 'SIGTERM');
  const deadline = performance.now() + timeoutMs;
  while (isRunning(record)) {
    if (performance.now() > deadline) return false;
    await setTimeout(pollMs);
  }
  return true;
};
