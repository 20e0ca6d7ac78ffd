/**
 * Measures the width that workers find by themselves: no limit is configured, and the provider answers 503 above some
 * calls in flight. Prints the calls in flight over time, where they settle, and how many calls are refused.
 *
 *   node tests/bench/adaptive.ts [--above 37] [--seconds 60] [--workers 3] [--latency-ms 300]
 */
import { setTimeout as delay } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { createBatch, inputOf } from '../support/batches.ts';
import { quantile } from '../support/quantile.ts';
import { startMeasuredStack } from './measured-stack.ts';

const { values } = parseArgs({
  options: {
    above: { type: 'string', default: '37' },
    seconds: { type: 'string', default: '60' },
    workers: { type: 'string', default: '3' },
    'latency-ms': { type: 'string', default: '300' },
  },
});
const above = Number(values.above);
const seconds = Number(values.seconds);
const latencyMs = Number(values['latency-ms']);
const sampleMs = 100;

const stack = await startMeasuredStack({
  workers: Number(values.workers),
  env: {
    LOG_LEVEL: 'warn',
    SIMULATOR_LATENCY_MS: String(latencyMs),
    SIMULATOR_LATENCY_SIGMA: '0.5',
    SIMULATOR_MAX_IN_FLIGHT: String(above),
    SIMULATOR_MAX_IN_FLIGHT_STATUS: '503',
  },
});

try {
  await createBatch(stack.client, inputOf(Math.ceil((2 * above * seconds * 1000) / latencyMs)));
  await delay(seconds * 1000);
  const calls = await stack.calls();
  const startedAt = Math.min(...calls.map(({ at }) => at));
  // Calls that have not ended yet are not in the log.
  const endedAt = startedAt + (seconds - 5) * 1000;
  const inFlightAt = (time: number): number =>
    calls.filter(({ at, endedAt: end, status }) => status === 200 && at <= time && time < end).length;
  const inFlight = (from: number, to: number): number[] => {
    const samples: number[] = [];
    for (let time = from; time < to; time += sampleMs) samples.push(inFlightAt(time));
    return samples;
  };
  const refusedShare = (from: number): number => {
    const list = calls.filter(({ at }) => at >= from && at < endedAt);
    return (100 * list.filter(({ status }) => status === 503).length) / list.length;
  };
  const half = startedAt + (endedAt - startedAt) / 2;
  const settled = inFlight(half, endedAt);
  console.log(
    JSON.stringify({
      above,
      seconds,
      calls: calls.length,
      inFlightEachFiveSeconds: Array.from({ length: Math.floor((seconds - 5) / 5) }, (_, i) =>
        quantile(inFlight(startedAt + i * 5000, startedAt + (i + 1) * 5000), 0.5),
      ),
      settled: { p5: quantile(settled, 0.05), p50: quantile(settled, 0.5), p95: quantile(settled, 0.95) },
      refusedPercent: { whole: refusedShare(startedAt).toFixed(2), lastHalf: refusedShare(half).toFixed(2) },
    }),
  );
} finally {
  await stack.stop();
}
