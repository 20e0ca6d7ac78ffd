import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { globSync, readFileSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { mainPath } from '../../../../tests/support/main-path.ts';
import { shellCommand } from '../../src/shell-command.ts';

const main = mainPath('cli');

export interface Ended {
  /** The exit code, or the signal that ended the process. */
  readonly exit: number | NodeJS.Signals;
  readonly stdout: string;
  readonly stderr: string;
}

/** The command line as a user starts it: each command is a process, all in one temporary folder. */
export const openCli = async () => {
  const folder = await mkdtemp(join(tmpdir(), 'promptmill-cli-'));
  const children = new Set<ChildProcess>();

  type Env = Readonly<Record<string, string>>;

  const startCommand = (command: string, args: readonly string[], env: Env = {}) => {
    const child = spawn(command, args, {
      cwd: folder,
      // The child leads a process group, which a test can kill whole.
      detached: true,
      stdio: ['pipe', 'pipe', 'pipe'],
      env: {
        PATH: process.env['PATH'],
        HOME: process.env['HOME'],
        NODE_COMPILE_CACHE: join(tmpdir(), 'promptmill-test-compile-cache'),
        ...env,
      },
    });
    children.add(child);
    let stdout = '';
    let stderr = '';
    child.stdout.setEncoding('utf8').on('data', (text: string) => (stdout += text));
    child.stderr.setEncoding('utf8').on('data', (text: string) => (stderr += text));
    const ended = once(child, 'close').then(([code, signal]): Ended => {
      children.delete(child);
      return { exit: (code ?? signal) as number | NodeJS.Signals, stdout, stderr };
    });
    return { child, ended, stdin: child.stdin, stdout: () => stdout, stderr: () => stderr };
  };

  const start = (args: readonly string[], env?: Env) => startCommand(process.execPath, [main, ...args], env);

  /**
   * The same on a terminal. What it shows comes as standard output. Source: script(1) of util-linux and of macOS.
   *
   * @param before what stands before the command, such as `cat prompts.txt |`
   */
  const startOnTerminal = (args: readonly string[], env?: Env, before = '') => {
    const line = before + shellCommand([process.execPath, main, ...args]);
    return process.platform === 'darwin'
      ? startCommand('script', ['-q', '/dev/null', 'sh', '-c', line], env)
      : startCommand('script', ['-qec', line, '/dev/null'], env);
  };

  /** The ids of the Redis processes that were started in this folder and not stopped. */
  const redisPids = (): number[] =>
    globSync('**/redis/server.json', { cwd: folder }).map(
      (record) => (JSON.parse(readFileSync(join(folder, record), 'utf8')) as { pid: number }).pid,
    );

  return {
    start,
    startCommand,
    startOnTerminal,
    run: (args: readonly string[], env?: Env): Promise<Ended> => start(args, env).ended,
    onTerminal: async (args: readonly string[], env?: Env): Promise<string> =>
      (await startOnTerminal(args, env).ended).stdout.replaceAll('\r\n', '\n'),
    path: (name: string) => join(folder, name),
    lines: (name: string): string[] => readFileSync(join(folder, name), 'utf8').split('\n').slice(0, -1),
    redisPids,
    async close(): Promise<void> {
      for (const child of children) child.kill('SIGKILL');
      for (const pid of redisPids()) kill(pid);
      await rm(folder, { recursive: true, force: true, maxRetries: 5 });
    },
  };
};

export type Cli = Awaited<ReturnType<typeof openCli>>;

/** Kills a process, or with a negative id its whole group, as a crash would. It may be gone already. */
export const kill = (pid: number): void => {
  try {
    process.kill(pid, 'SIGKILL');
  } catch {
    // The process is gone already.
  }
};

export const isRunning = (pid: number): boolean => {
  try {
    return process.kill(pid, 0);
  } catch {
    return false;
  }
};

const waitTimeoutMs = 30_000;
const pollMs = 20;

export const until = async (what: string, met: () => boolean): Promise<void> => {
  const deadline = performance.now() + waitTimeoutMs;
  while (!met()) {
    if (performance.now() > deadline) throw new Error(`not within ${waitTimeoutMs} ms: ${what}`);
    await delay(pollMs);
  }
};
