import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { setTimeout } from 'node:timers/promises';

/** A process known again later: its id alone may by then belong to another. */
export interface ProcessRecord {
  readonly pid: number;
  /** When it started, in a form of the operating system's own. */
  readonly startedAt: string;
}

const pollMs = 20;

/** `<boot>/<ticks since>` of a process. Source: https://man7.org/linux/man-pages/man5/proc_pid_stat.5.html */
const startOnLinux = (pid: number): string | undefined => {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
    // The second field, a name in brackets, may hold anything; the third is the state, the 22nd the start.
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

/** undefined: there is no such process. */
export const recordOfProcess = (pid: number): ProcessRecord | undefined => {
  const startedAt = startOf(pid);
  return startedAt === undefined ? undefined : { pid, startedAt };
};

export const isRunning = ({ pid, startedAt }: ProcessRecord): boolean => startOf(pid) === startedAt;

/** Reads a record that was written as JSON; undefined when the file is missing or holds none. */
export const readProcessRecord = (file: string): ProcessRecord | undefined => {
  try {
    const { pid, startedAt } = JSON.parse(readFileSync(file, 'utf8')) as Partial<ProcessRecord>;
    return typeof pid === 'number' && typeof startedAt === 'string' ? { pid, startedAt } : undefined;
  } catch {
    return undefined;
  }
};

/** Asks a process to end and waits for it; false when it has not after `timeoutMs`. */
export const stopProcess = async (record: ProcessRecord, timeoutMs: number): Promise<boolean> => {
  if (isRunning(record)) process.kill(record.pid, 'SIGTERM');
  const deadline = performance.now() + timeoutMs;
  while (isRunning(record)) {
    if (performance.now() > deadline) return false;
    await setTimeout(pollMs);
  }
  return true;
};
