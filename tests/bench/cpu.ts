/**
 * What a request costs, side by side and against one simulator: Promptmill, a pool of promises over the bare openai SDK,
 * a plain BullMQ worker with that SDK, and undici alone, which is the least that a call can cost.
 *
 *   node tests/bench/cpu.ts [requests=20000] [concurrency=100] [latencyMs=5] [--rounds 3] [--warm-up 500]
 *
 * All processes start first, and each way makes its warm-up requests. Then they take turns, round after round; what is
 * printed is the median of the rounds, each figure for itself. Counted is the processor time, user and system, of each
 * process of the way whose turn it is, its Redis included (both Redis servers have an append-only file), from the start
 * of its work until half a second after its end. The start of processes and the simulator are not counted.
 * Promptmill's work is from the upload of the input file to the terminal batch; plain BullMQ's from the first `addBulk`.
 * Linux only.
 */
import { setTimeout as delay } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { Queue } from 'bullmq';
import { Redis } from 'ioredis';
import { createBatch, inputOf } from '../support/batches.ts';
import { startDurableRedis } from '../support/local-redis.ts';
import { quantile } from '../support/quantile.ts';
import { startStack } from '../support/stack.ts';
import { cpuSecondsOf, pidOfRedis, startCaller } from './processes.ts';

const { positionals, values } = parseArgs({
  allowPositionals: true,
  options: { rounds: { type: 'string', default: '3' }, 'warm-up': { type: 'string', default: '500' } },
});
const [requests = 20_000, concurrency = 100, latencyMs = 5] = positionals.map(Number);
const rounds = Number(values.rounds);
const settleMs = 500;

interface Contender {
  readonly name: string;
  /** Its processes' ids by what they are. */
  readonly processes: Readonly<Record<string, number | undefined>>;
  /** Resolves to how many requests got their answer. */
  readonly run: (requests: number) => Promise<number>;
  /** After a run, and not counted. */
  readonly tidy?: () => Promise<unknown>;
}

/** In µs of processor time a request, by process, with their `total`, and `requests/s`. */
type Cost = Readonly<Record<string, number>>;

const ends: (() => Promise<unknown>)[] = [];
const startRedis = async (): Promise<{ url: string; pid: number }> => {
  const server = await startDurableRedis();
  ends.push(() => server.stop());
  const redis = new Redis(server.url);
  const pid = await pidOfRedis(redis);
  redis.disconnect();
  return { url: server.url, pid };
};

const startContenders = async (): Promise<readonly Contender[]> => {
  const redis = await startRedis();
  const plainRedis = await startRedis();
  const env = { WORKER_CONCURRENCY: String(concurrency), SIMULATOR_LATENCY_MS: String(latencyMs), LOG_LEVEL: 'warn' };
  const { client, api, workers, collectors, simulator, stop } = await startStack({ redisUrl: redis.url, env });
  ends.push(stop);
  const options = { simulatorUrl: simulator.url, concurrency };
  const sdk = await startCaller('sdk', options);
  const bullmq = await startCaller('bullmq', { ...options, redisUrl: plainRedis.url });
  const undici = await startCaller('undici', options);
  const queue = new Queue('plain', { connection: { url: plainRedis.url } });
  ends.push(() => Promise.all([sdk.stop(), bullmq.stop(), undici.stop(), queue.close()]));
  return [
    {
      name: 'Promptmill',
      processes: {
        api: api.child.pid,
        worker: workers[0]?.child.pid,
        collector: collectors[0]?.child.pid,
        redis: redis.pid,
      },
      run: async (count) => {
        const { id } = await createBatch(client, inputOf(count));
        for (;;) {
          // To be asked costs the api something too: not too often.
          await delay(100);
          const { status, request_counts: counts } = await client.batches.retrieve(id);
          if (status === 'completed') return counts?.completed ?? 0;
          if (status === 'failed') throw new Error(`batch ${id} has failed`);
        }
      },
    },
    { name: 'bare SDK', processes: { caller: sdk.pid }, run: sdk.run },
    {
      name: 'plain BullMQ',
      processes: { worker: bullmq.pid, redis: plainRedis.pid },
      run: bullmq.run,
      tidy: () => queue.clean(0, 0, 'completed'),
    },
    { name: 'undici alone', processes: { caller: undici.pid }, run: undici.run },
  ];
};

/** Resolves to how long it took, in seconds. */
const runWhole = async ({ name, run }: Contender, count: number): Promise<number> => {
  const startedAt = performance.now();
  const answers = await run(count);
  const seconds = (performance.now() - startedAt) / 1000;
  if (answers !== count) throw new Error(`${name}: ${answers} right answers to ${count} requests`);
  await delay(settleMs);
  return seconds;
};

const measure = async (contender: Contender): Promise<Cost> => {
  const names = Object.keys(contender.processes);
  const read = (): Promise<number[]> => Promise.all(Object.values(contender.processes).map(cpuSecondsOf));
  const before = await read();
  const seconds = await runWhole(contender, requests);
  const after = await read();
  await contender.tidy?.();
  const micros = names.map((_, i) => (1e6 * ((after[i] ?? Number.NaN) - (before[i] ?? Number.NaN))) / requests);
  return {
    ...Object.fromEntries(names.map((name, i) => [name, micros[i] ?? Number.NaN])),
    total: micros.reduce((sum, cost) => sum + cost, 0),
    'requests/s': requests / seconds,
  };
};

const print = (costs: Readonly<Record<string, readonly Cost[]>>): void => {
  const of = (name: string, figure: string): number[] => (costs[name] ?? []).map((cost) => cost[figure] ?? Number.NaN);
  const rows = Object.entries(costs).map(([name, [first = {}]]) => {
    const medians = Object.keys(first).map((figure) => [figure, Math.round(quantile(of(name, figure), 0.5))]);
    return [name, Object.fromEntries(medians) as Cost];
  });
  console.log(
    `${requests} requests, ${concurrency} in flight, ${latencyMs} ms; µs a request, median of ${rounds} rounds`,
  );
  console.table(Object.fromEntries(rows), ['api', 'worker', 'collector', 'caller', 'redis', 'total', 'requests/s']);
  for (const name of Object.keys(costs))
    console.log(`${name}, total of each round: ${of(name, 'total').map(Math.round).join(', ')}`);
  const printRatio = (figure: string, name: string): void => {
    const others = of(name, figure);
    const ratios = of('Promptmill', figure).map((value, round) => value / (others[round] ?? Number.NaN));
    console.log(`${figure}, Promptmill / ${name}: ${quantile(ratios, 0.5).toFixed(2)}`);
  };
  printRatio('total', 'bare SDK');
  printRatio('total', 'plain BullMQ');
  printRatio('requests/s', 'bare SDK');
};

try {
  const contenders = await startContenders();
  for (const contender of contenders) {
    await runWhole(contender, Number(values['warm-up']));
    await contender.tidy?.();
  }
  const costs: Record<string, Cost[]> = {};
  for (let round = 0; round < rounds; round++)
    for (const contender of contenders) (costs[contender.name] ??= []).push(await measure(contender));
  print(costs);
} finally {
  for (const end of ends.toReversed()) await end();
}
