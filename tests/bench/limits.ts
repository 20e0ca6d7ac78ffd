/**
 * Runs at full load against a strict provider, which counts requests and tokens in a sliding window of 60 s and calls
 * in flight, and refuses what is over. Prints the refusals and how much of the limit was used after the first 10 s.
 *
 *   node tests/bench/limits.ts --limit requests|tokens|halved [--seconds 180] [--workers 3] [--per-minute 1200]
 */
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { createBatch, inputOf } from '../support/batches.ts';
import { startMeasuredStack } from './measured-stack.ts';

const { values } = parseArgs({
  options: {
    limit: { type: 'string', default: 'requests' },
    seconds: { type: 'string', default: '180' },
    workers: { type: 'string', default: '3' },
    'per-minute': { type: 'string' },
  },
});
const isTokens = values.limit === 'tokens';
const isHalved = values.limit === 'halved';
const perMinute = Number(values['per-minute'] ?? (isTokens ? 120_000 : 1200));
const seconds = Number(values.seconds);
const maxInFlight = 40;
const windowMs = 60_000;
const settleMs = 10_000;

const stack = await startMeasuredStack({
  workers: Number(values.workers),
  env: {
    WORKER_CONCURRENCY: '50',
    LOG_LEVEL: 'warn',
    PROMPTMILL_CONFIG: 'promptmill.yaml',
    SIMULATOR_LATENCY_MS: '300',
    SIMULATOR_LATENCY_SIGMA: '0.5',
    SIMULATOR_MAX_IN_FLIGHT: String(maxInFlight),
    [isTokens ? 'SIMULATOR_TOKENS_PER_MINUTE' : 'SIMULATOR_REQUESTS_PER_MINUTE']: String(perMinute),
  },
  files: { 'promptmill.yaml': configOf(perMinute) },
});

function configOf(limit: number): string {
  const name = isTokens ? 'tokensPerMinute' : 'requestsPerMinute';
  return `providers: { simulator: { concurrency: ${maxInFlight}, ${name}: ${limit} } }\n`;
}

/**
 * Halves the limit in the configuration, and at the provider once the workers have reloaded it. Nothing may be refused.
 */
const halve = async (): Promise<void> => {
  await writeFile(join(stack.directory, 'promptmill.yaml'), configOf(perMinute / 2));
  await delay(3000);
  await stack.control({ limits: { requestsPerMinute: perMinute / 2, maxInFlight } });
};

try {
  const words = 'lorem ipsum dolor sit amet '.repeat(40).split(' ');
  const requests = Math.ceil((perMinute * seconds) / 60 / (isTokens ? 40 : 1)) + 2000;
  const input = inputOf(
    requests,
    (i) => words.slice(0, 1 + ((i * 7919) % 150)).join(' '),
    isTokens ? 'simulator/small' : undefined,
  );
  await createBatch(stack.client, input);
  if (isHalved) {
    await delay((seconds * 1000) / 3);
    await halve();
    await delay((seconds * 2000) / 3);
  } else await delay(seconds * 1000);
  const calls = await stack.calls();
  const startedAt = Math.min(...calls.map(({ at }) => at));
  // The calls of the last moments are not in the log yet.
  const endedAt = startedAt + (seconds - 3) * 1000;
  const refused = calls.filter(({ status }) => status === 429);
  const used = (from: number, to: number): number =>
    calls
      .filter(({ at, status }) => status === 200 && at >= from && at < to)
      .reduce((sum, { tokens }) => sum + (isTokens ? tokens : 1), 0);
  const share = (from: number, to: number, limit: number): string =>
    to > from
      ? `${((100 * used(from, to)) / ((limit * (to - from)) / windowMs)).toFixed(1)} %`
      : 'the run was too short';
  const perSecond = Array.from({ length: seconds }, (_, s) => used(startedAt + s * 1000, startedAt + s * 1000 + 1000));
  console.log(
    JSON.stringify({
      limit: values.limit,
      perMinute,
      seconds,
      calls: calls.length,
      refused: refused.length,
      refusedAtSecond: refused.slice(0, 10).map(({ at }) => Math.round((at - startedAt) / 1000)),
      usedAfterTenSeconds: isHalved
        ? {
            before: share(startedAt + settleMs, startedAt + (seconds * 1000) / 3, perMinute),
            // The window still holds the calls of the old limit for a minute.
            after: share(startedAt + (seconds * 1000) / 3 + 3000 + windowMs + settleMs, endedAt, perMinute / 2),
          }
        : share(startedAt + settleMs, endedAt, perMinute),
      busiestSecond: Math.max(...perSecond),
    }),
  );
} finally {
  await stack.stop();
}
