/**
 * What a request costs, side by side and against one simulator: in a batch, as a live call, through a proxy that keeps nothing,
 * in a pool of promises over the bare openai SDK, in a plain BullMQ worker with that SDK, and in a pool over undici alone,
 * which is the least that a call costs.
 *
 *   node tests/bench/cpu.ts [requests=20000] [concurrency=100] [latencyMs=5] [--rounds 3] [--warm-up 500]
 *
 * All processes start first, and each contender makes its warm-up requests. Then they take turns, round after round. What
 * is printed is the median of the rounds, each figure for itself. Counted is the processor time, user and system, of all
 * processes of the contender whose turn it is, its Redis included, from the start of its work until half a second after
 * its end. The start of the processes and the simulator are not counted. Promptmill's work is from the upload of the
 * input file to the terminal batch. The callers of live calls and of the proxy are not counted. Plain BullMQ works from the first `addBulk`
 * to the last job's end. Linux only.
 */
import { setTimeout as delay } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { quantile } from '../support/quantile.ts';
import { type Contender, startContenders } from './contenders.ts';
import { cpuSecondsOf } from './processes.ts';

const { positionals, values } = parseArgs({
  allowPositionals: true,
  options: { rounds: { type: 'string', default: '3' }, 'warm-up': { type: 'string', default: '500' } },
});
const [requests = 20_000, concurrency = 100, latencyMs = 5] = positionals.map(Number);
const rounds = Number(values.rounds);
const settleMs = 500;

/** In µs of processor time a request, by process, with their `total`, and `requests/s`. */
type Cost = Readonly<Record<string, number>>;

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
  console.table(Object.fromEntries(rows), [
    'api',
    'worker',
    'collector',
    'proxy',
    'caller',
    'redis',
    'total',
    'requests/s',
  ]);
  for (const name of Object.keys(costs))
    console.log(`${name}, total of each round: ${of(name, 'total').map(Math.round).join(', ')}`);
  const printRatio = (figure: string, name: string, ours = 'Promptmill'): void => {
    const others = of(name, figure);
    const ratios = of(ours, figure).map((value, round) => value / (others[round] ?? Number.NaN));
    console.log(`${figure}, ${ours} / ${name}: ${quantile(ratios, 0.5).toFixed(2)}`);
  };
  printRatio('total', 'bare SDK');
  printRatio('total', 'plain BullMQ');
  printRatio('requests/s', 'bare SDK');
  printRatio('total', 'Promptmill', 'live calls');
  printRatio('total', 'Promptmill', 'bare proxy');
};

await using ends = new AsyncDisposableStack();
const contenders = await startContenders(ends, { concurrency, latencyMs });
for (const contender of contenders) {
  await runWhole(contender, Number(values['warm-up']));
  await contender.tidy?.();
}
const costs: Record<string, Cost[]> = {};
for (let round = 0; round < rounds; round++)
  for (const contender of contenders) (costs[contender.name] ??= []).push(await measure(contender));
print(costs);
