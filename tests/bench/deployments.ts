/**
 * Runs at full load against one model at two deployments with limits of their own, each a strict provider that refuses
 * what is over its limits. Prints, for each, the refusals and how much of its limit was used after the first 10 s.
 *
 *   node tests/bench/deployments.ts [--seconds 120] [--workers 2] [--requests-per-minute 600,1500]
 */
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import type { CallLogEntry } from '@promptmill/simulator';
import { createBatch, inputOf } from '../support/batches.ts';
import { freePort } from '../support/free-port.ts';
import { startMeasuredStack } from './measured-stack.ts';

const { values } = parseArgs({
  options: {
    seconds: { type: 'string', default: '120' },
    workers: { type: 'string', default: '2' },
    'requests-per-minute': { type: 'string', default: '600,1500' },
  },
});
const seconds = Number(values.seconds);
const settleMs = 10_000;
const [eastPerMinute = 0, westPerMinute = 0] = values['requests-per-minute'].split(',').map(Number);
const west = { port: await freePort(), perMinute: westPerMinute, concurrency: 30 };
const east = { perMinute: eastPerMinute, concurrency: 10 };
const westUrl = `http://127.0.0.1:${west.port}/v1`;

const stack = await startMeasuredStack({
  workers: Number(values.workers),
  env: {
    WORKER_CONCURRENCY: '50',
    LOG_LEVEL: 'warn',
    PROMPTMILL_CONFIG: 'promptmill.yaml',
    SIMULATOR_LATENCY_MS: '300',
    SIMULATOR_LATENCY_SIGMA: '0.5',
    SIMULATOR_REQUESTS_PER_MINUTE: String(east.perMinute),
    SIMULATOR_MAX_IN_FLIGHT: String(east.concurrency),
  },
  files: {
    'promptmill.yaml': `
providers:
  simulator:
    deployments:
      east: { requestsPerMinute: ${east.perMinute}, concurrency: ${east.concurrency} }
      west: { baseUrl: '${westUrl}', requestsPerMinute: ${west.perMinute}, concurrency: ${west.concurrency} }
`,
  },
});

const readCalls = async (name: string): Promise<CallLogEntry[]> => {
  const lines = (await readFile(join(stack.directory, name), 'utf8')).split('\n').filter((line) => line !== '');
  return lines.map((line) => JSON.parse(line) as CallLogEntry);
};

try {
  await stack.start('simulator', {
    PORT: String(west.port),
    SIMULATOR_CALL_LOG: join(stack.directory, 'west.jsonl'),
    SIMULATOR_REQUESTS_PER_MINUTE: String(west.perMinute),
    SIMULATOR_MAX_IN_FLIGHT: String(west.concurrency),
  });
  await createBatch(stack.client, inputOf(Math.ceil(((east.perMinute + west.perMinute) * seconds) / 60) + 2000));
  await delay(seconds * 1000);
  const calls = { east: await stack.calls(), west: await readCalls('west.jsonl') };
  const startedAt = Math.min(...[...calls.east, ...calls.west].map(({ at }) => at));
  // The calls of the last moments are not in the log yet.
  const endedAt = startedAt + (seconds - 3) * 1000;
  const report = (all: readonly CallLogEntry[], perMinute: number) => {
    const used = all.filter(({ at, status }) => status === 200 && at >= startedAt + settleMs && at < endedAt).length;
    const limit = (perMinute * (endedAt - startedAt - settleMs)) / 60_000;
    return {
      perMinute,
      calls: all.length,
      refused: all.filter(({ status }) => status === 429).length,
      failed: all.filter(({ status }) => status !== 200 && status !== 429).length,
      usedAfterTenSeconds: `${((100 * used) / limit).toFixed(1)} %`,
    };
  };
  console.log(
    JSON.stringify({ seconds, east: report(calls.east, east.perMinute), west: report(calls.west, west.perMinute) }),
  );
} finally {
  await stack.stop();
}
