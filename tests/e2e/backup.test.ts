import { execFile } from 'node:child_process';
import { mkdir, mkdtemp, readdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { checkBatch, createBatch, inputOf, untilBatch } from '../support/batches.ts';
import { createRedisServer } from '../support/local-redis.ts';
import { type RoleProcess, type Stack, startStack } from '../support/stack.ts';

const run = promisify(execFile);
const requests = 2500;
const workers = 2;
const concurrency = 20;
/** A batch of this many requests outlasts a backup. */
const slow = { kind: 'fixed', ms: 150 };
const fast = { kind: 'fixed', ms: 5 };

let redis: Awaited<ReturnType<typeof createRedisServer>>;
let stack: Stack;
let backup: string;

beforeEach(async () => {
  backup = await mkdtemp(join(tmpdir(), 'promptmill-test-backup-'));
  redis = await createRedisServer(['--appendonly', 'yes', '--save', '', '--repl-diskless-sync-delay', '0']);
  await redis.start();
  stack = await startStack({ redisUrl: redis.url, workers, env: { WORKER_CONCURRENCY: String(concurrency) } });
  await stack.control({ latency: slow });
});
afterEach(async () => {
  await stack.stop();
  await redis.stop();
  await rm(backup, { recursive: true, force: true });
});

const storeFolder = (): string => join(stack.directory, 'data/store');

// The commands of docs/operations.md.
const copyRedis = () => run(redis.client, ['-u', redis.url, '--rdb', join(backup, 'redis.rdb')]);
const copyFiles = () =>
  run('cp', ['-a', storeFolder(), join(backup, 'store')]).catch((error: Error & { stderr: string }) => {
    // A file that was being written has its final name by now.
    if (!/^(?:cp: .*tmp~.*\n)+$/.test(error.stderr)) throw error;
  });
const restoreRedis = async (): Promise<void> => {
  const folder = join(redis.directory, 'appendonlydir');
  await mkdir(folder);
  await rename(join(backup, 'redis.rdb'), join(folder, 'appendonly.aof.1.base.rdb'));
  await writeFile(join(folder, 'appendonly.aof.manifest'), 'file appendonly.aof.1.base.rdb seq 1 type b\n');
};

/** Ends every process at once, and takes all data away. Resolves with the old files. */
const loseAll = async (): Promise<string> => {
  const roles = [stack.api, ...stack.workers, ...stack.collectors];
  await Promise.all([...roles.map((role) => role.stop('SIGKILL')), redis.end('SIGKILL')]);
  await expect.poll(async () => (await stack.stats()).inFlight).toBe(0);
  await rm(join(redis.directory, 'appendonlydir'), { recursive: true });
  const lost = join(backup, 'lost');
  await rename(storeFolder(), lost);
  return lost;
};

const startAgain = (roles: readonly RoleProcess[]): Promise<unknown> =>
  Promise.all(roles.map(({ role, environment }) => stack.start(role, environment)));

/** Brings the data back, and starts all but the workers. */
const restoreAll = async (): Promise<void> => {
  await restoreRedis();
  await rename(join(backup, 'store'), storeFolder());
  await redis.start();
  await stack.control({ latency: fast });
  await startAgain([stack.api, ...stack.collectors]);
};

/** Waits until an api has recorded again what the files have and Redis lacks. */
const untilReconciled = async (): Promise<void> => {
  const names = (await readdir(stack.directory)).filter((name) => name.startsWith('api-'));
  const logs = () => Promise.all(names.map((name) => readFile(join(stack.directory, name), 'utf8')));
  await expect.poll(logs, { timeout: 30_000 }).toContainEqual(expect.stringContaining('"msg":"reconciled"'));
};

/** The keys of the calls whose results are in segments of a store. */
const resultsIn = async (store: string, batchId: string): Promise<Set<string>> => {
  const folder = join(store, 'segments', batchId);
  const names = await readdir(folder).catch(() => []);
  const segments = await Promise.all(names.map((name) => readFile(join(folder, name), 'utf8')));
  const lines = segments.flatMap((segment) => segment.split('\n').filter((line) => line !== ''));
  return new Set(lines.map((line) => `${batchId}-${line.slice(0, line.indexOf('\t'))}`));
};

const start = async () => {
  const input = inputOf(requests);
  const { id } = await createBatch(stack.client, input);
  await untilBatch(stack.client, id, ({ request_counts: counts }) => (counts?.completed ?? 0) > 0);
  return { id, input };
};

/** Waits until more results are in files. */
const untilMore = async (id: string): Promise<void> => {
  const count = async () => (await resultsIn(storeFolder(), id)).size;
  const before = await count();
  await expect.poll(count, { timeout: 30_000 }).toBeGreaterThan(before + 150);
};

it('a backup of Redis, then of the files, taken while a batch runs, brings the batch back', async () => {
  const { id, input } = await start();
  await copyRedis();
  await untilMore(id);
  await copyFiles();
  const kept = await resultsIn(join(backup, 'store'), id);
  await untilMore(id);
  await loseAll();
  const before = (await stack.calls()).length;
  await restoreAll();
  await untilReconciled();
  await startAgain(stack.workers);

  const batch = await untilBatch(stack.client.withOptions({ maxRetries: 10 }), id);
  expect(batch.request_counts).toEqual({ total: requests, completed: requests, failed: 0 });
  await checkBatch(stack, batch, input, { allowedRepeats: before - kept.size });
  // What the files of the backup had is not paid for again.
  const keys = (await stack.calls()).map(({ key }) => key ?? '');
  const repeated = keys.filter((key, at) => keys.indexOf(key) !== at);
  expect(repeated.filter((key) => kept.has(key))).toEqual([]);
});

it('a backup of the files, then of Redis, makes the batch wait until the results between are there again', async () => {
  const { id, input } = await start();
  await copyFiles();
  await untilMore(id);
  await copyRedis();
  const lost = await loseAll();
  const before = (await stack.calls()).length;
  await restoreAll();
  await startAgain(stack.workers);

  const client = stack.client.withOptions({ maxRetries: 10 });
  const codeOf = (batch: object) =>
    (batch as { promptmill?: { blocked?: { code: string } } }).promptmill?.blocked?.code;
  const blocked = await untilBatch(client, id, (batch) => codeOf(batch) !== undefined || batch.status === 'completed');
  expect(codeOf(blocked)).toBe('results_missing');
  await run('cp', ['-a', join(lost, 'segments'), storeFolder()]);
  const batch = await untilBatch(client, id);
  expect(batch.request_counts).toEqual({ total: requests, completed: requests, failed: 0 });
  await checkBatch(stack, batch, input, { allowedRepeats: before });
});
