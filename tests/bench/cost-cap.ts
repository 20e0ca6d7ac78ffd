/**
 * Runs a batch with `max_cost` on several workers, with answers of random length, until it pauses. Prints the limit, what the
 * provider has charged for, and how far that is from the limit, also in calls of average cost. With --kill a worker is killed
 * half way: what it had in flight is paid for and cannot be counted.
 *
 *   node tests/bench/cost-cap.ts [--max-cost 30] [--requests 10000] [--workers 3] [--in-flight 200] [--kill]
 */
import { parseArgs } from 'node:util';
import { createBatch, untilBatch } from '../support/batches.ts';
import { extensionOf, inputOfRandomLengths, pricedConfig, spentAtProvider, waitsForMoney } from '../support/costs.ts';
import { startMeasuredStack } from './measured-stack.ts';

const { values } = parseArgs({
  options: {
    'max-cost': { type: 'string', default: '30' },
    requests: { type: 'string', default: '10000' },
    workers: { type: 'string', default: '3' },
    'in-flight': { type: 'string', default: '200' },
    kill: { type: 'boolean', default: false },
  },
});
const maxCost = Number(values['max-cost']);
const callsInFlight = Number(values['in-flight']);

const stack = await startMeasuredStack({
  workers: Number(values.workers),
  env: {
    WORKER_CONCURRENCY: String(callsInFlight),
    LOG_LEVEL: 'warn',
    SIMULATOR_LATENCY_MS: '500',
    SIMULATOR_LATENCY_SIGMA: '0.5',
  },
  files: { 'promptmill.yaml': pricedConfig() },
});

try {
  const input = inputOfRandomLengths(Number(values.requests));
  const startedAt = performance.now();
  const { id } = await createBatch(stack.client, input, { promptmill: { max_cost: maxCost } });
  if (values.kill) {
    await untilBatch(stack.client, id, (batch) => (extensionOf(batch).cost.spent ?? 0) > maxCost / 2, 150_000);
    await stack.workers[0]?.stop('SIGKILL');
  }
  const paused = await untilBatch(stack.client, id, waitsForMoney, 170_000);
  const seconds = (performance.now() - startedAt) / 1000;
  const { usd, dearest, answers } = await spentAtProvider(stack);
  const { spent, wasted } = extensionOf(paused).cost;
  const average = usd / answers;
  const inFlight = Math.max(...(await stack.calls()).map((call) => call.inFlight));
  console.log(
    JSON.stringify({
      maxCost,
      spentAtProvider: Number(usd.toFixed(4)),
      counted: Number(((spent ?? Number.NaN) + (wasted ?? Number.NaN)).toFixed(4)),
      used: `${((100 * usd) / maxCost).toFixed(2)} %`,
      overBy: Number(Math.max(0, usd - maxCost).toFixed(4)),
      overByCalls: Number((Math.max(0, usd - maxCost) / average).toFixed(1)),
      answers,
      mostInFlight: inFlight,
      averageCall: Number(average.toFixed(5)),
      dearestCall: Number(dearest.toFixed(5)),
      killed: values.kill,
      secondsToPause: Number(seconds.toFixed(1)),
    }),
  );
} finally {
  await stack.stop();
}
