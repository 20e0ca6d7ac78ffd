/**
 * Measures how fast a batch is dispatched, from its creation until each of its requests has a job, and how fast one
 * process adds equal jobs by BullMQ's `addBulk`. The two take turns, without workers.
 *
 *   node tests/bench/dispatch.ts [--requests 20000] [--rounds 5] [--bytes 500]
 *
 * `--bytes` is the length of a prompt.
 */
import { setTimeout as delay } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { parseRequestLine, type RequestJob } from '@promptmill/core';
import { closeRedis, connectRedis, createKeys, openLaneQueue, toLaneJob } from '@promptmill/queue';
import { inputOf } from '../support/batches.ts';
import { quantile } from '../support/quantile.ts';
import { startMeasuredStack } from './measured-stack.ts';

const { values } = parseArgs({
  options: {
    requests: { type: 'string', default: '20000' },
    rounds: { type: 'string', default: '5' },
    bytes: { type: 'string', default: '500' },
  },
});
const requests = Number(values.requests);
const chunkRequests = 500;
const pollMs = 5;

const stack = await startMeasuredStack({
  workers: 0,
  collectors: 0,
  env: {
    LOG_LEVEL: 'warn',
    PROMPTMILL_WINDOW: String(requests),
    PROMPTMILL_WINDOW_BYTES: String(1024 ** 3),
  },
});
const redis = connectRedis({ url: stack.redis.url, whileAway: 'wait', onError: console.error });
const keys = createKeys(stack.prefix);
const lane = openLaneQueue(redis, keys, 'simulator');
const retry = { attempts: 6, baseDelayMs: 1000, maxDelayMs: 60_000 };

const input = inputOf(requests, (i) => `${i} `.padEnd(Number(values.bytes), 'A prompt of some length. '));

/** Empties the lane, so that each measurement starts with an empty one. */
const empty = (): Promise<void> => lane.drain();

interface Round {
  readonly perSecond: number;
  /** Processor time a request, of the process that adds the jobs. */
  readonly cpuMicros: number;
  readonly redisMicros: number;
}

const micros = (seconds: number): number => (seconds / requests) * 1e6;

const measure = async (run: () => Promise<void>, cpuSeconds: () => Promise<number>): Promise<Round> => {
  const cost = async () => [await cpuSeconds(), (await stack.costs())['redis']?.cpuSeconds ?? 0] as const;
  const before = await cost();
  const startedAt = performance.now();
  await run();
  const perSecond = requests / ((performance.now() - startedAt) / 1000);
  const after = await cost();
  return { perSecond, cpuMicros: micros(after[0] - before[0]), redisMicros: micros(after[1] - before[1]) };
};

const file = await stack.client.files.create({ file: new File([input], 'dispatch.jsonl'), purpose: 'batch' });

const dispatch = async (): Promise<void> => {
  const { id } = await stack.client.batches.create({
    input_file_id: file.id,
    endpoint: '/v1/chat/completions',
    completion_window: '24h',
  });
  while (Number(await redis.hget(keys.batch(id), 'dispatched')) < requests) await delay(pollMs);
  // The batch's job ends once the record is gone.
  await redis.del(...keys.ofBatch(id));
};

const jobs: RequestJob[] = input
  .trimEnd()
  .split('\n')
  .map((line, index) => {
    const parsed = parseRequestLine(line);
    if (!parsed.ok) throw new Error(parsed.problem.message);
    const { customId, url, body } = parsed.request;
    const batchId = `batch_${'0'.repeat(32)}`;
    return { tenant: 'local', batchId, index, customId, url, body: { ...body, model: 'echo' }, bytes: line.length + 1 };
  });

const addBulk = async (): Promise<void> => {
  for (let from = 0; from < requests; from += chunkRequests)
    await lane.addBulk(jobs.slice(from, from + chunkRequests).map((job, i) => toLaneJob(job, from + i, retry)));
};

const apiCpu = async (): Promise<number> => (await stack.costs())['api 1']?.cpuSeconds ?? 0;
const ownCpu = async (): Promise<number> => {
  const { user, system } = process.cpuUsage();
  return (user + system) / 1e6;
};

try {
  const ours: Round[] = [];
  const raw: Round[] = [];
  // The first round is not counted, since Node still compiles the code.
  for (let round = 0; round <= Number(values.rounds); round++) {
    const dispatched = await measure(dispatch, apiCpu);
    await empty();
    const added = await measure(addBulk, ownCpu);
    await empty();
    if (round > 0) ours.push(dispatched);
    if (round > 0) raw.push(added);
  }
  const median = (rounds: readonly Round[], name: keyof Round): number =>
    quantile(
      rounds.map((round) => round[name]),
      0.5,
    );
  const row = (rounds: readonly Round[]) => ({
    'requests a second': Math.round(median(rounds, 'perSecond')),
    'cpu µs per request': Math.round(median(rounds, 'cpuMicros')),
    'Redis µs per request': Math.round(median(rounds, 'redisMicros')),
  });
  console.table({ dispatch: row(ours), addBulk: row(raw) });
  console.log(`dispatch over addBulk: ${(median(ours, 'perSecond') / median(raw, 'perSecond')).toFixed(2)}`);
} finally {
  await lane.close();
  await closeRedis(redis);
  await stack.stop();
}
