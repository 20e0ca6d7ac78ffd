/**
 * Runs the same requests as three batches at once: flex with steps up, standard only and flex only. Flex is asked for a
 * quarter more than the window needs, takes 60 % of the calls, and goes away twice, each time for a tenth of the window.
 * Prints for each batch whether it was done in time, what is missing, and share and price of each tier. The prices are made
 * up: flex costs half.
 *
 *   node tests/bench/flex.ts [--requests 20000] [--window-minutes 6] [--workers 2]
 *   node tests/bench/flex.ts --requests 20000 --window-minutes 60     the long form
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import type OpenAI from 'openai';
import { checkBatch, createBatch, inputOf, untilBatch } from '../support/batches.ts';
import { extensionOf } from '../support/costs.ts';
import { freePort } from '../support/free-port.ts';
import { startMeasuredStack } from './measured-stack.ts';

const { values } = parseArgs({
  options: {
    requests: { type: 'string', default: '20000' },
    'window-minutes': { type: 'string', default: '6' },
    workers: { type: 'string', default: '2' },
  },
});
const requests = Number(values.requests);
const minutes = Number(values['window-minutes']);
const windowMs = minutes * 60_000;
const perMinute = requests / minutes;

const providers = {
  both: { tiers: ['flex', 'standard'] },
  standard: {},
  flex: { tiers: ['flex'] },
};
const simulatorPort = await freePort();
const config = {
  providers: Object.fromEntries(
    Object.entries(providers).map(([name, tiers]) => [
      name,
      {
        baseUrl: `http://127.0.0.1:${simulatorPort}/v1`,
        ...tiers,
        requestsPerMinute: Math.ceil(1.5 * perMinute),
        flex: { requestsPerMinute: Math.ceil(1.25 * perMinute) },
        models: { echo: { prices: { input: 100, output: 100 } } },
      },
    ]),
  ),
};

const stack = await startMeasuredStack({
  workers: Number(values.workers),
  env: { WORKER_CONCURRENCY: '100', LOG_LEVEL: 'warn' },
  files: { 'promptmill.yaml': JSON.stringify(config) },
});
// The batches' simulator is one of its own: the stack's has a port that the configuration cannot know.
const simulator = await stack.start('simulator', {
  PORT: String(simulatorPort),
  SIMULATOR_LATENCY_MS: '200',
  SIMULATOR_LATENCY_SIGMA: '0.3',
});
const setFlex = async (takes: number): Promise<void> => {
  const body = JSON.stringify({ flex: { takes } });
  await fetch(`${simulator.url}/control`, { method: 'POST', headers: { 'content-type': 'application/json' }, body });
};

const describe = (name: string, batch: OpenAI.Batch, lines: number, standardUsd: number) => {
  const { tiers, cost } = extensionOf(batch);
  const { created_at: from, request_counts: counts, completed_at: completedAt } = batch;
  const usd = cost.spent ?? Number.NaN;
  return {
    batch: name,
    status: batch.status,
    seconds: (completedAt ?? batch.expired_at ?? Number.NaN) - from,
    windowSeconds: windowMs / 1000,
    answered: counts?.completed,
    notAnswered: counts?.failed,
    lost: requests - lines,
    flexShare: `${((100 * (tiers?.flex.answers ?? 0)) / requests).toFixed(1)} %`,
    flexUsd: tiers?.flex.spent ?? 0,
    standardUsd: tiers?.standard.spent ?? usd,
    usdPerAnswer: Number((usd / (counts?.completed || Number.NaN)).toPrecision(4)),
    ofStandardPrice: `${((100 * usd) / standardUsd).toFixed(1)} %`,
  };
};

try {
  await setFlex(0.6);
  const startedAt = performance.now();
  const made = await Promise.all(
    Object.keys(providers).map(async (name) => {
      const input = inputOf(requests, undefined, `${name}/echo`);
      const { id } = await createBatch(stack.client, input, { completion_window: `${minutes}m` });
      return { name, input, id };
    }),
  );
  const at = (share: number): Promise<void> => sleep(Math.max(0, startedAt + share * windowMs - performance.now()));
  for (const [share, takes] of [
    [0.2, 0],
    [0.3, 0.6],
    [0.5, 0],
    [0.6, 0.6],
  ] as const) {
    await at(share);
    await setFlex(takes);
  }
  const ended = await Promise.all(
    made.map(async ({ name, input, id }) => {
      const batch = await untilBatch(stack.client, id, undefined, windowMs);
      const { output = '', errors = '' } = await checkBatch(stack, batch, input, { allowedRetries: 1000 });
      return {
        name,
        batch,
        lines: output.split('\n').length - 1 + (errors === '' ? 0 : errors.split('\n').length - 1),
      };
    }),
  );
  const usdOf = (wanted: string): number => {
    const batch = ended.find(({ name }) => name === wanted)?.batch;
    return (batch && extensionOf(batch).cost.spent) ?? Number.NaN;
  };
  for (const { name, batch, lines } of ended)
    console.log(JSON.stringify(describe(name, batch, lines, usdOf('standard'))));
} finally {
  await stack.stop();
}
