import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { readFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** The ways to make requests. `caller.ts` says what each is. */
export type CallerKind = 'sdk' | 'undici' | 'bullmq';

const ticksPerSecond = 100;

/**
 * Processor time, user and system, that a process and its ended children have used so far, in seconds; NaN for a
 * process that is gone. Linux only.
 */
export const cpuSecondsOf = async (pid: number | undefined): Promise<number> => {
  const stat = await readFile(`/proc/${pid}/stat`, 'utf8').catch(() => '');
  // The name, in parentheses, may hold spaces. utime, stime, cutime and cstime are the fields 14 to 17.
  const fields = stat.split(') ').at(-1)?.split(' ') ?? [];
  return [11, 12, 13, 14].reduce((sum, at) => sum + Number(fields[at]), 0) / ticksPerSecond;
};

/** A process of `caller.ts`. */
export interface Caller {
  readonly pid: number | undefined;
  /** Resolves to how many requests got the right answer. Rejects when the process ends before it tells. */
  readonly run: (requests: number) => Promise<number>;
  stop(): Promise<void>;
}

const messageFrom = (child: ChildProcess, kind: CallerKind): Promise<unknown> =>
  new Promise((resolve, reject) => {
    const end = (code: number | null): void => {
      reject(new Error(`the process of the caller ${kind} ended with ${code}`));
    };
    child.once('exit', end);
    child.once('message', (message) => {
      child.off('exit', end);
      resolve(message);
    });
  });

export interface CallerOptions {
  /** Of the provider, or of Promptmill's api. */
  readonly url: string;
  readonly concurrency: number;
  /** Default: the simulator's own name for its model. */
  readonly model?: string;
  /** For `bullmq`. */
  readonly redisUrl?: string;
}

/** Resolves once the process has loaded its modules. */
export const startCaller = async (kind: CallerKind, options: CallerOptions): Promise<Caller> => {
  const { url, concurrency, model = 'echo', redisUrl = '' } = options;
  const child = fork(join(import.meta.dirname, 'caller.ts'), [kind, url, String(concurrency), model, redisUrl], {
    // The same as for the processes of a stack.
    env: { PATH: process.env['PATH'], NODE_COMPILE_CACHE: join(tmpdir(), 'promptmill-test-compile-cache') },
  });
  await messageFrom(child, kind);
  return {
    pid: child.pid,
    run: async (requests) => {
      const answers = messageFrom(child, kind);
      child.send(requests);
      return Number(await answers);
    },
    async stop() {
      if (child.exitCode !== null || child.signalCode !== null) return;
      const ended = once(child, 'exit');
      child.disconnect();
      await ended;
    },
  };
};
