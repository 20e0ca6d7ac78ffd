/**
 * How much longer than the ideal some slow requests take: through Promptmill, and in a pool of promises over the bare
 * openai SDK. Both on new processes, which have loaded their modules and nothing more, in turns, against one simulator.
 *
 *   node tests/bench/makespan.ts [--requests 1000] [--latency-ms 500] [--concurrency 50] [--rounds 3] [--warm-up 0]
 *
 * The ideal is the latency times the rounds of calls that it takes. Promptmill's time is from the upload of the input file
 * to the terminal batch, on one worker and one collector. `--warm-up` requests run before, on both: Node compiles what it
 * has seen run. Prints the median of the rounds.
 */
import { setTimeout as delay } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { createBatch, inputOf } from '../support/batches.ts';
import { quantile } from '../support/quantile.ts';
import { startMeasuredStack } from './measured-stack.ts';
import { startCaller } from './processes.ts';

const { values } = parseArgs({
  options: {
    requests: { type: 'string', default: '1000' },
    'latency-ms': { type: 'string', default: '500' },
    concurrency: { type: 'string', default: '50' },
    rounds: { type: 'string', default: '3' },
    'warm-up': { type: 'string', default: '0' },
  },
});
const requests = Number(values.requests);
const latencyMs = Number(values['latency-ms']);
const concurrency = Number(values.concurrency);
const warmUp = Number(values['warm-up']);
const idealMs = Math.ceil(requests / concurrency) * latencyMs;

type Run = (requests: number) => Promise<void>;

/** Time over the ideal. */
const measure = async (run: Run): Promise<number> => {
  if (warmUp > 0) await run(warmUp);
  const startedAt = performance.now();
  await run(requests);
  return (performance.now() - startedAt) / idealMs;
};

const withSdk = async <Value>(simulatorUrl: string, use: (run: Run) => Promise<Value>): Promise<Value> => {
  const caller = await startCaller('sdk', { url: simulatorUrl, concurrency });
  try {
    return await use(async (count) => {
      const answers = await caller.run(count);
      if (answers !== count) throw new Error(`bare SDK: ${answers} right answers to ${count} requests`);
    });
  } finally {
    await caller.stop();
  }
};

const measureRound = async (): Promise<{ promptmill: number; sdk: number }> => {
  const stack = await startMeasuredStack({ env: { WORKER_CONCURRENCY: String(concurrency), LOG_LEVEL: 'warn' } });
  try {
    // Whoever comes first would meet a simulator that has not run yet.
    await withSdk(stack.simulator.url, (run) => run(requests));
    await stack.control({ latency: { kind: 'fixed', ms: latencyMs } });
    const promptmill = await measure(async (count) => {
      const { id } = await createBatch(stack.client, inputOf(count));
      // A question costs the api and Redis time, so the batch is asked for when it may have ended, and then often.
      await delay(Math.ceil(count / concurrency) * latencyMs);
      let batch = await stack.client.batches.retrieve(id);
      for (; batch.status !== 'completed'; batch = await stack.client.batches.retrieve(id)) await delay(5);
      const { request_counts: counts } = batch;
      if (counts?.completed !== count) throw new Error(`Promptmill: ${counts?.completed} answers to ${count} requests`);
    });
    const sdk = await withSdk(stack.simulator.url, measure);
    return { promptmill, sdk };
  } finally {
    await stack.stop();
  }
};

const seen: { promptmill: number; sdk: number }[] = [];
for (let round = 0; round < Number(values.rounds); round++) seen.push(await measureRound());

const show = (name: string, ratios: readonly number[]): void => {
  const rounds = ratios.map((ratio) => ratio.toFixed(3)).join(', ');
  console.log(`${name}: ${quantile(ratios, 0.5).toFixed(3)} (each round: ${rounds})`);
};
console.log(
  `${requests} requests of ${latencyMs} ms, ${concurrency} in flight; time over the ideal ${idealMs / 1000} s`,
);
show(
  'Promptmill',
  seen.map(({ promptmill }) => promptmill),
);
show(
  'bare SDK',
  seen.map(({ sdk }) => sdk),
);
show(
  'difference',
  seen.map(({ promptmill, sdk }) => promptmill - sdk),
);
