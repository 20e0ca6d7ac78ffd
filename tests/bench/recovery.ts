/**
 * Kills a worker (kill -9) with its calls in flight, again and again. Prints for each kill how long it took until the
 * last of its requests ran elsewhere, by the provider's own account. Then prints what it costs to notice a death so
 * soon: for three workers without work, and with 50 long jobs each, with our settings and with BullMQ's own.
 *
 *   node tests/bench/recovery.ts [--kills 10] [--in-flight 50] [--latency 2000] [--cost-seconds 20]
 */
import { setTimeout as delay } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { connectRedis, createKeys, openLaneQueue, openWorker } from '@promptmill/queue';
import { Worker } from 'bullmq';
import { createBatch, inputOf, untilBatch } from '../support/batches.ts';
import { startDurableRedis } from '../support/local-redis.ts';
import { quantile } from '../support/quantile.ts';
import { startMeasuredStack } from './measured-stack.ts';

const { values } = parseArgs({
  options: {
    kills: { type: 'string', default: '10' },
    'in-flight': { type: 'string', default: '50' },
    latency: { type: 'string', default: '2000' },
    'cost-seconds': { type: 'string', default: '20' },
  },
});
const kills = Number(values.kills);
const perWorker = Number(values['in-flight']);
const latencyMs = Number(values.latency);
const workers = 3;

/** Seconds from each kill until the last of the requests it cut off ran again. */
const measureRecovery = async () => {
  const stack = await startMeasuredStack({
    workers,
    env: { WORKER_CONCURRENCY: String(perWorker), LOG_LEVEL: 'warn', SIMULATOR_LATENCY_MS: values.latency },
    files: {
      'promptmill.yaml': JSON.stringify({ providers: { simulator: { concurrency: workers * perWorker } } }),
    },
  });
  const inFlight = async (): Promise<number> => {
    const answer = await fetch(`${stack.simulator.url}/control/stats`);
    return ((await answer.json()) as { inFlight: number }).inFlight;
  };
  try {
    const perSecond = (workers * perWorker * 1000) / latencyMs;
    const { id } = await createBatch(stack.client, inputOf(Math.ceil(perSecond * 20 * kills)));
    const killedAt: number[] = [];
    let victim = stack.workers[0];
    for (let i = 0; i < kills; i++) {
      while ((await inFlight()) < workers * perWorker * 0.98) await delay(50);
      killedAt.push(Date.now());
      await victim?.stop('SIGKILL');
      // The replacement comes late, so that the others alone notice the death.
      await delay(10_000);
      victim = await stack.start('worker');
    }
    await stack.client.batches.cancel(id);
    await untilBatch(stack.client, id, undefined, 60_000);
    const calls = await stack.calls();
    return killedAt.map((at) => {
      const cut = calls.filter(({ endedAt, aborted }) => aborted && endedAt >= at && endedAt < at + 1000);
      const again = cut.map(({ key }) =>
        Math.min(...calls.filter((call) => call.key === key && call.at > at).map((call) => call.at - at)),
      );
      return { callsCutOff: cut.length, seconds: Math.max(...again) / 1000, firstSeconds: Math.min(...again) / 1000 };
    });
  } finally {
    await stack.stop();
  }
};

type Settings = 'ours' | 'BullMQ’s own';

/** The cost a second of three workers that have nothing to do, or that hold long jobs. */
const measureCost = async (settings: Settings, jobsEach: number) => {
  const server = await startDurableRedis();
  const keys = createKeys('cost');
  const connect = () => connectRedis({ url: server.url, whileAway: 'wait', onError: () => {} });
  const admin = connect();
  const queue = openLaneQueue(admin, keys, 'lane');
  const finish = new AbortController();
  const hold = () => new Promise<void>((resolve) => finish.signal.addEventListener('abort', () => resolve()));
  const connections = Array.from({ length: workers }, connect);
  const open = connections.map((connection) =>
    settings === 'ours'
      ? openWorker(hold, { connection, keys, name: 'lane', concurrency: perWorker, onError: () => {} })
      : new Worker('lane', hold, { connection, prefix: keys.queuePrefix('lane'), concurrency: perWorker }),
  );
  const used = async () => {
    const info = await admin.info();
    const number = (field: string): number => Number(new RegExp(`${field}:([\\d.]+)`).exec(info)?.[1]);
    const { user, system } = process.cpuUsage();
    return {
      commands: number('total_commands_processed'),
      redisCpuMs: 1000 * (number('used_cpu_sys') + number('used_cpu_user')),
      workersCpuMs: (user + system) / 1000,
    };
  };
  try {
    const jobs = Array.from({ length: jobsEach * workers }, (_, i) => ({
      name: 'request',
      data: { index: i } as never,
    }));
    await queue.addBulk(jobs);
    while ((await queue.getActiveCount()) < jobs.length) await delay(20);
    await delay(3000);
    const before = await used();
    const seconds = Number(values['cost-seconds']);
    await delay(seconds * 1000);
    const after = await used();
    const perSecond = (name: keyof typeof after) => Number(((after[name] - before[name]) / seconds).toFixed(1));
    return {
      settings,
      jobsHeld: jobs.length,
      redisCommandsPerSecond: perSecond('commands'),
      redisCpuMsPerSecond: perSecond('redisCpuMs'),
      workersCpuMsPerSecond: perSecond('workersCpuMs'),
    };
  } finally {
    finish.abort();
    await Promise.all(open.map((worker) => worker.close()));
    await queue.close();
    for (const connection of [admin, ...connections]) connection.disconnect();
    await server.stop();
  }
};

const recoveries = await measureRecovery();
console.table(recoveries);
const seconds = recoveries.map((recovery) => recovery.seconds);
console.log(JSON.stringify({ kills, p50: quantile(seconds, 0.5), max: Math.max(...seconds) }));
const costs = [];
for (const jobsEach of [0, perWorker])
  for (const settings of ['ours', 'BullMQ’s own'] as const) costs.push(await measureCost(settings, jobsEach));
console.table(costs);
