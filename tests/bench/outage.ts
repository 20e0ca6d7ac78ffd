/**
 * Kills Redis (kill -9) in the middle of a batch and starts it again after a while, with its append-only file or
 * without the end of it. Prints for each outage whether the batch's files are right, which calls were made twice, and
 * how long after Redis was back the next result was recorded.
 *
 *   node tests/bench/outage.ts [--seconds 3,12,60] [--cut 65536] [--requests 6000] [--latency 200] [--workers 3]
 *
 * `--cut` is the number of bytes that the append-only file loses in a further outage of 3 s; 0 leaves that outage out.
 */
import { setTimeout as delay } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { createKeys } from '@promptmill/queue';
import { Redis } from 'ioredis';
import { checkBatch, createBatch, inputOf, untilBatch } from '../support/batches.ts';
import { startMeasuredStack } from './measured-stack.ts';

const { values } = parseArgs({
  options: {
    seconds: { type: 'string', default: '3,12,60' },
    cut: { type: 'string', default: '65536' },
    requests: { type: 'string', default: '6000' },
    latency: { type: 'string', default: '200' },
    workers: { type: 'string', default: '3' },
  },
});
const requests = Number(values.requests);

interface Outage {
  readonly seconds: number;
  readonly cutBytes: number;
}

const run = async ({ seconds, cutBytes }: Outage) => {
  const stack = await startMeasuredStack({
    workers: Number(values.workers),
    collectors: 2,
    env: { WORKER_CONCURRENCY: '50', LOG_LEVEL: 'warn', SIMULATOR_LATENCY_MS: values.latency },
  });
  const watcher = new Redis(stack.redis.url, { maxRetriesPerRequest: null, retryStrategy: () => 20 });
  watcher.on('error', () => {});
  try {
    const input = inputOf(requests);
    const { id } = await createBatch(stack.client, input);
    const record = createKeys(stack.prefix).batch(id);
    const recorded = async (): Promise<number> => {
      const counts = await watcher.hmget(record, 'completed', 'failed');
      return Number(counts[0]) + Number(counts[1]);
    };
    await untilBatch(stack.client, id, ({ request_counts: counts }) => (counts?.completed ?? 0) > requests / 4);
    const before = await recorded();
    await stack.redis.kill();
    if (cutBytes > 0) await stack.redis.cutTail(cutBytes);
    await delay(seconds * 1000);
    await stack.redis.restart();
    const backAt = performance.now();
    const kept = await recorded();
    while ((await recorded()) <= kept) await delay(10);
    const untilNextResult = (performance.now() - backAt) / 1000;
    // The api answers 503 until it has noticed that Redis is back.
    const client = stack.client.withOptions({ maxRetries: 10 });
    const batch = await untilBatch(client, id, undefined, 180_000);
    const untilEnd = (performance.now() - backAt) / 1000;
    const calls = (await stack.calls()).length;
    const { output } = await checkBatch({ ...stack, client }, batch, input, { allowedRepeats: requests }).catch(
      (error: unknown) => {
        console.error(error);
        return { output: undefined };
      },
    );
    return {
      outage: `${seconds} s${cutBytes > 0 ? `, last ${cutBytes} bytes lost` : ''}`,
      requests,
      status: batch.status,
      lines: output === undefined ? 'wrong' : output.split('\n').length - 1,
      countsLost: Math.max(0, before - kept),
      calls,
      repeats: calls - requests,
      secondsUntilNextResult: Number(untilNextResult.toFixed(2)),
      secondsUntilEnd: Number(untilEnd.toFixed(1)),
    };
  } finally {
    watcher.disconnect();
    await stack.stop();
  }
};

const outages: Outage[] = values.seconds.split(',').map((seconds) => ({ seconds: Number(seconds), cutBytes: 0 }));
if (Number(values.cut) > 0) outages.push({ seconds: 3, cutBytes: Number(values.cut) });
const rows = [];
for (const outage of outages) rows.push(await run(outage));
console.table(rows);
