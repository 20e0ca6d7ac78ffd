import { type ChildProcess, spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { createWriteStream } from 'node:fs';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { closeRedis, connectRedis } from '@promptmill/queue';
import type { CallLogEntry, CallStats } from '@promptmill/simulator';
import OpenAI from 'openai';
import { deleteKeys } from './redis-keys.ts';
import { freePort } from './free-port.ts';
import { mainPath } from './main-path.ts';

export type Role = 'api' | 'worker' | 'collector' | 'simulator';

/** One role as a real process. */
export interface RoleProcess {
  readonly role: Role;
  readonly url: string;
  readonly child: ChildProcess;
  /** Its own environment beyond the stack's, with its port: `start(role, environment)` starts the same again. */
  readonly environment: Readonly<Record<string, string>>;
  /** The exit code, or the signal that ended it. */
  readonly ended: Promise<number | NodeJS.Signals>;
  /** Sends a signal, by default SIGTERM, and waits for the end. */
  stop(signal?: NodeJS.Signals): Promise<number | NodeJS.Signals>;
}

export interface StackOptions {
  readonly redisUrl: string;
  /** The Redis URL of each process, by its role and its number from 0. Default: `redisUrl`. */
  readonly redisUrlOf?: (role: Role, index: number) => string;
  readonly apis?: number;
  readonly workers?: number;
  readonly collectors?: number;
  /** The environment of every role, such as `WORKER_CONCURRENCY`. */
  readonly env?: Readonly<Record<string, string>>;
  /** Whether each process has a data folder of its own, `data-<number>`. Default: all share `data`. */
  readonly ownDataFolders?: boolean;
  /** The folder of another checkout, whose api, workers and collectors start. Default: this one. */
  readonly checkout?: string;
  /** Files for the working directory that all roles share: the contents by name. */
  readonly files?: Readonly<Record<string, string>>;
}

const readyTimeoutMs = 40_000;

const untilReady = async (url: string, child: ChildProcess, name: string, logPath: string): Promise<void> => {
  const deadline = performance.now() + readyTimeoutMs;
  while (performance.now() < deadline) {
    if (child.exitCode !== null || child.signalCode !== null)
      throw new Error(
        `${name} ended with ${child.exitCode ?? child.signalCode}:\n${await readFile(logPath, 'utf8').catch(() => '')}`,
      );
    const answer = await fetch(url).catch(() => undefined);
    await answer?.arrayBuffer();
    if (answer?.ok) return;
    await delay(20);
  }
  throw new Error(`${name} was not ready in ${readyTimeoutMs} ms`);
};

const readStats = async (url: string): Promise<CallStats> =>
  (await (await fetch(`${url}/control/stats`)).json()) as CallStats;

/** How many calls the simulator has ended, logged or not; 0 once it has stopped, since its log is complete then. */
const endedCalls = async ({ child, url }: RoleProcess): Promise<number> => {
  if (child.exitCode)
    throw new Error(`the simulator ended with ${child.exitCode}: its log does not tell what was called`);
  if (child.exitCode !== null || child.signalCode !== null) return 0;
  const { calls, inFlight } = await readStats(url);
  return calls - inFlight;
};

/**
 * Starts all of Promptmill as separate processes beside a simulator, with a data folder and a key prefix of its own.
 * Each process logs into a file in `directory`.
 */
export const startStack = async ({
  redisUrl,
  redisUrlOf,
  apis = 1,
  workers = 1,
  collectors = 1,
  env = {},
  ownDataFolders = false,
  checkout,
  files = {},
}: StackOptions) => {
  const directory = await mkdtemp(join(tmpdir(), 'promptmill-test-'));
  await Promise.all(Object.entries(files).map(([name, content]) => writeFile(join(directory, name), content)));
  const prefix = `test-${randomBytes(6).toString('hex')}`;
  const callLog = join(directory, 'calls.jsonl');
  const processes: RoleProcess[] = [];
  const simulatorPort = await freePort();
  const simulatorUrl = `http://127.0.0.1:${simulatorPort}`;

  /** @param from the folder of another checkout, which has the role */
  const start = async (
    role: Role,
    more: Readonly<Record<string, string>> = {},
    from?: string,
  ): Promise<RoleProcess> => {
    const environment = { PORT: String(role === 'simulator' ? simulatorPort : await freePort()), ...more };
    const logPath = join(directory, `${role}-${processes.length}.log`);
    const log = createWriteStream(logPath);
    const main = from === undefined ? mainPath(role) : join(from, `apps/${role}/src/main.ts`);
    const child = spawn(process.execPath, [main], {
      cwd: directory,
      stdio: ['ignore', 'pipe', 'pipe'],
      env: {
        PATH: process.env['PATH'],
        // The cache halves the cost of a start, and tests start many processes.
        NODE_COMPILE_CACHE: join(tmpdir(), 'promptmill-test-compile-cache'),
        REDIS_URL: redisUrl,
        PROMPTMILL_PREFIX: prefix,
        PROMPTMILL_DATA_DIR: join(directory, ownDataFolders ? `data-${processes.length}` : 'data'),
        SIMULATOR_BASE_URL: `${simulatorUrl}/v1`,
        SIMULATOR_CALL_LOG: callLog,
        SIMULATOR_STATE_DIR: join(directory, 'simulator'),
        SIMULATOR_CONTROL: 'true',
        ...env,
        ...environment,
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
    const url = `http://127.0.0.1:${environment.PORT}`;
    const started: RoleProcess = {
      role,
      url,
      child,
      environment,
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

  const startAll = (role: Role, count: number): Promise<RoleProcess[]> =>
    Promise.all(
      Array.from({ length: count }, (_, index) =>
        start(role, redisUrlOf && { REDIS_URL: redisUrlOf(role, index) }, checkout),
      ),
    );

  /** Stops all processes. `keep` leaves the folder and the keys in Redis, to find out what went wrong. */
  const stop = async ({ keep = false } = {}): Promise<void> => {
    // A process that SIGSTOP has stopped takes no other signal until it goes on.
    for (const { child } of processes) child.kill('SIGCONT');
    await Promise.all(processes.map((started) => started.stop()));
    if (keep) return;
    const redis = connectRedis({ url: redisUrl, whileAway: 'wait', onError: () => {} });
    await deleteKeys(redis, prefix);
    await closeRedis(redis);
    await rm(directory, { recursive: true, force: true });
  };

  try {
    const simulator = await start('simulator');
    const apiProcesses = await startAll('api', apis);
    const [api] = apiProcesses;
    if (!api) throw new Error('a stack needs an api');
    const workerProcesses = await startAll('worker', workers);
    const collectorProcesses = await startAll('collector', collectors);
    return {
      directory,
      prefix,
      api,
      apis: apiProcesses,
      simulator,
      workers: workerProcesses,
      collectors: collectorProcesses,
      client: new OpenAI({ baseURL: `${api.url}/v1`, apiKey: 'none', maxRetries: 0 }),
      start,
      stop,
      /** Changes how the simulator answers from its next call on. */
      async control(change: object): Promise<void> {
        const answer = await fetch(`${simulator.url}/control`, {
          method: 'POST',
          headers: { 'content-type': 'application/json' },
          body: JSON.stringify(change),
        });
        if (!answer.ok) throw new Error(`the simulator refuses ${JSON.stringify(change)}: ${await answer.text()}`);
      },
      /** What the simulator has counted since its start. */
      stats: () => readStats(simulator.url),
      /** The provider's own account of its calls: every call that has ended by now, and lines of its batches. */
      async calls(): Promise<CallLogEntry[]> {
        const ended = await endedCalls(simulator);
        for (;;) {
          const content = await readFile(callLog, 'utf8').catch(() => '');
          const lines = content.split('\n').slice(0, -1);
          const entries = lines.map((line) => JSON.parse(line) as CallLogEntry);
          if (entries.filter(({ batch }) => !batch).length >= ended) return entries;
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
