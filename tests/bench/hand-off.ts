/**
 * Promptmill behind Promptmill: a large batch goes through the batch API of another Promptmill, while processes of both are
 * killed (kill -9) in turn and started again. Prints whether the files are right, how many shards and calls there were, and
 * what the ledger says.
 *
 *   node tests/bench/hand-off.ts [--requests 120000] [--seconds 10] [--latency 20]
 *
 * `--seconds` is the time between two kills, one on each side; 0 kills none.
 */
import { setTimeout as delay } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { createBatch, inputOf, untilBatch } from '../support/batches.ts';
import { extensionOf } from '../support/costs.ts';
import { checkHandedOff, shardsOf, startHandOffStacks, usdPerMillion } from '../support/hand-off.ts';
import { startDurableRedis } from '../support/local-redis.ts';
import type { RoleProcess, Stack } from '../support/stack.ts';

const { values } = parseArgs({
  options: {
    requests: { type: 'string', default: '120000' },
    seconds: { type: 'string', default: '10' },
    latency: { type: 'string', default: '20' },
  },
});
const requests = Number(values.requests);
const everyMs = Number(values.seconds) * 1000;
const maxLines = 50_000;
const workerConcurrency = 50;
const longestMs = 1_800_000;

const redis = await startDurableRedis();
const env = { WORKER_CONCURRENCY: String(workerConcurrency), LOG_LEVEL: 'warn' };
const { inner, outer } = await startHandOffStacks(
  { redisUrl: redis.url, env },
  { maxLines },
  { env: { ...env, SIMULATOR_LATENCY_MS: values.latency } },
);
const ended = new AbortController();
let kills = 0;
let killedInnerWorkers = 0;

/** Kills one process of a stack after the other. */
const killInTurn = async (stack: Stack): Promise<void> => {
  const processes: RoleProcess[] = [...stack.workers, stack.api, ...stack.collectors];
  for (let turn = 0; ; turn++) {
    await delay(everyMs, undefined, { signal: ended.signal }).catch(() => {});
    if (ended.signal.aborted) return;
    const at = turn % processes.length;
    const doomed = processes[at];
    if (!doomed) return;
    await doomed.stop('SIGKILL');
    kills++;
    if (stack === inner && doomed.role === 'worker') killedInnerWorkers++;
    processes[at] = await stack.start(doomed.role, doomed.environment);
  }
};

try {
  const input = inputOf(requests, undefined, 'inner/simulator/echo');
  const startedAt = performance.now();
  const { id } = await createBatch(outer.client, input);
  const killing = everyMs > 0 ? Promise.all([inner, outer].map(killInTurn)) : Promise.resolve();
  const client = outer.client.withOptions({ maxRetries: 20 });
  const batch = await untilBatch(client, id, undefined, longestMs);
  const seconds = (performance.now() - startedAt) / 1000;
  ended.abort();
  await killing;
  const shards = await shardsOf(inner, id);
  const allowedRepeats = killedInnerWorkers * workerConcurrency;
  const checked = await checkHandedOff({ inner, outer: { ...outer, client } }, batch, input, {
    maxLines,
    allowedRepeats,
  }).catch((error: unknown) => {
    console.error(error);
    return undefined;
  });
  const price = ((batch.usage?.total_tokens ?? 0) * usdPerMillion) / 1e6;
  console.table([
    {
      requests,
      status: batch.status,
      lines: checked ? checked.output.length : 'wrong',
      ofBatchApi: checked?.output.filter(({ promptmill: note }) => note?.via === 'batch_api').length,
      seconds: Number(seconds.toFixed(1)),
      kills,
      shards: extensionOf(batch).batch_api?.shards,
      batchesAtProvider: shards.length,
      calls: (await inner.stats()).calls,
      repeatsAllowed: allowedRepeats,
      paidShare: Number(((extensionOf(batch).cost.spent ?? NaN) / price).toFixed(6)),
    },
  ]);
} finally {
  ended.abort();
  await outer.stop();
  await inner.stop();
  await redis.stop();
}
