import { type ChildProcess, spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { createWriteStream } from 'node:fs';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { Redis } from 'ioredis';
import OpenAI from 'openai';
import { type LoggedCall } from './check-history.ts';
import { freePort } from './free-port.ts';

const root = fileURLToPath(new URL('../../', import.meta.url));

export type Role = 'api' | 'worker' | 'collector' | 'simulator';

/** One role as a real process. */
export interface RoleProcess {
  readonly role: Role;
  readonly url: string;
  readonly child: ChildProcess;
  /** The exit code, or the signal that ended it. */
  readonly ended: Promise<number | NodeJS.Signals>;
  /** Sends a signal and waits for the end. */
  stop(signal?: NodeJS.Signals): Promise<number | NodeJS.Signals>;
}

export interface StackOptions {
  readonly redisUrl: string;
  readonly workers?: number;
  readonly collectors?: number;
  /** Environment of every role, such as `WORKER_CONCURRENCY`. */
  readonly env?: Readonly<Record<string, string>>;
  /** Written into every role's working directory, by name. */
  readonly files?: Readonly<Record<string, string>>;
}

const readyTimeoutMs = 20_000;

const untilReady = async (url: string, child: ChildProcess, name: string, logPath: string): Promise<void> => {
  const deadline = performance.now() + readyTimeoutMs;
  while (performance.now() < deadline) {
    if (child.exitCode !== null)
      throw new Error(`${name} ended with ${child.exitCode}:\n${await readFile(logPath, 'utf8').catch(() => '')}`);
    const answer = await fetch(url).catch(() => undefined);
    await answer?.arrayBuffer();
    if (answer?.ok) return;
    await delay(20);
  }
  throw new Error(`${name} was not ready in ${readyTimeoutMs} ms`);
};

/** Calls the simulator has ended, whether they are in its log yet or not; 0 once it has stopped, and so has written all. */
const endedCalls = async ({ child, url }: RoleProcess): Promise<number> => {
  if (child.exitCode !== null || child.signalCode !== null) return 0;
  const stats = (await (await fetch(`${url}/control/stats`)).json()) as { calls: number; inFlight: number };
  return stats.calls - stats.inFlight;
};

/**
 * The whole of Promptmill as separate processes beside a simulator, with a data folder and a key prefix of its own.
 * Each process's log is a file in `directory`.
 */
export const startStack = async ({ redisUrl, workers = 1, collectors = 1, env = {}, files = {} }: StackOptions) => {
  const directory = await mkdtemp(join(tmpdir(), 'promptmill-test-'));
  await Promise.all(Object.entries(files).map(([name, content]) => writeFile(join(directory, name), content)));
  const prefix = `test-${randomBytes(6).toString('hex')}`;
  const callLog = join(directory, 'calls.jsonl');
  const processes: RoleProcess[] = [];
  const simulatorPort = await freePort();
  const simulatorUrl = `http://127.0.0.1:${simulatorPort}`;

  const start = async (role: Role, more: Readonly<Record<string, string>> = {}): Promise<RoleProcess> => {
    const port = role === 'simulator' ? simulatorPort : await freePort();
    const logPath = join(directory, `${role}-${processes.length}.log`);
    const log = createWriteStream(logPath);
    const child = spawn(process.execPath, [join(root, `apps/${role}/src/main.ts`)], {
      cwd: directory,
      stdio: ['ignore', 'pipe', 'pipe'],
      env: {
        PATH: process.env['PATH'],
        PORT: String(port),
        REDIS_URL: redisUrl,
        PROMPTMILL_PREFIX: prefix,
        PROMPTMILL_DATA_DIR: join(directory, 'data'),
        SIMULATOR_BASE_URL: `${simulatorUrl}/v1`,
        SIMULATOR_CALL_LOG: callLog,
        ...env,
        ...more,
      },
    });
    child.stdout.pipe(log, { end: false });
    child.stderr.pipe(log, { end: false });
    const ended = new Promise<number | NodeJS.Signals>((resolve) => {
      child.once('close', (code, signal) => {
        log.end();
        resolve(code ?? signal ?? 'SIGKILL');
      });
    });
    const url = `http://127.0.0.1:${port}`;
    const started: RoleProcess = {
      role,
      url,
      child,
      ended,
      async stop(signal = 'SIGTERM') {
        child.kill(signal);
        return ended;
      },
    };
    processes.push(started);
    await untilReady(`${url}${role === 'simulator' ? '/livez' : '/readyz'}`, child, role, logPath);
    return started;
  };

  const stop = async (): Promise<void> => {
    await Promise.all(processes.map((started) => started.stop()));
    const redis = new Redis(redisUrl);
    for await (const keys of redis.scanStream({ match: `${prefix}:*`, count: 1000 }))
      if ((keys as string[]).length > 0) await redis.unlink(...(keys as string[]));
    await redis.quit();
    await rm(directory, { recursive: true, force: true });
  };

  try {
    const simulator = await start('simulator');
    const api = await start('api');
    const workerProcesses = await Promise.all(Array.from({ length: workers }, () => start('worker')));
    const collectorProcesses = await Promise.all(Array.from({ length: collectors }, () => start('collector')));
    return {
      directory,
      prefix,
      api,
      simulator,
      workers: workerProcesses,
      collectors: collectorProcesses,
      client: new OpenAI({ baseURL: `${api.url}/v1`, apiKey: 'none', maxRetries: 0 }),
      start,
      stop,
      /** What the provider says it was asked: every call that has ended by now. */
      async calls(): Promise<LoggedCall[]> {
        const ended = await endedCalls(simulator);
        for (;;) {
          const content = await readFile(callLog, 'utf8').catch(() => '');
          const lines = content.split('\n').filter((line) => line !== '');
          if (lines.length >= ended) return lines.map((line) => JSON.parse(line) as LoggedCall);
          await delay(10);
        }
      },
    };
  } catch (error) {
    await stop();
    throw error;
  }
};

export type Stack = Awaited<ReturnType<typeof startStack>>;
