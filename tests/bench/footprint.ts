/**
 * What a request takes of Redis and of the file store: memory while it waits in its lane, bytes over the network, bytes and
 * segments in the store. Also what a worker holds.
 *
 *   node tests/bench/footprint.ts [--requests 20000] [--prompt-bytes 2000] [--rate 500] [--concurrency 50]
 *
 * Answers are as long as prompts. Redis's memory is read when the batch's window is full. Then a worker starts, with so many
 * calls in flight, and the requests are answered at about `rate` a second.
 */
import { readdir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { createBatch, inputOf, untilBatch } from '../support/batches.ts';
import { peakMiB, startMeasuredStack } from './measured-stack.ts';

const { values } = parseArgs({
  options: {
    requests: { type: 'string', default: '20000' },
    'prompt-bytes': { type: 'string', default: '2000' },
    rate: { type: 'string', default: '500' },
    concurrency: { type: 'string', default: '50' },
  },
});
const [requests, promptBytes] = [Number(values.requests), Number(values['prompt-bytes'])];
const [rate, concurrency] = [Number(values.rate), Number(values.concurrency)];
/** A batch has at most so many requests in its lanes. */
const window = 2000;

const stack = await startMeasuredStack({
  workers: 0,
  env: { WORKER_CONCURRENCY: String(concurrency), PROMPTMILL_WINDOW: String(window), LOG_LEVEL: 'warn' },
});

const lanesOf = (batch: object): number => (batch as { promptmill: { in_lanes: number } }).promptmill.in_lanes;

const readRedis = async (): Promise<Record<string, number>> =>
  Object.fromEntries(
    [...(await stack.redisInfo()).matchAll(/^(\w+):(\d+)\r?$/gm)].map(([, name, value]) => [name, Number(value)]),
  );

const bytesBelow = async (folder: string): Promise<number> => {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true });
  const files = entries.filter((entry) => entry.isFile());
  const sizes = await Promise.all(files.map(async ({ parentPath, name }) => (await stat(join(parentPath, name))).size));
  return sizes.reduce((sum, size) => sum + size, 0);
};

try {
  const empty = await readRedis();
  // Words of random letters: Redis does not compress, but a disk may.
  const word = (): string => Math.random().toString(36).slice(2, 9).padEnd(7, 'x');
  const prompt = (): string => Array.from({ length: promptBytes / 8 }, word).join(' ');
  const { id } = await createBatch(stack.client, inputOf(requests, prompt));
  const batch = await untilBatch(stack.client, id, (now) => lanesOf(now) >= Math.min(requests, window));
  const full = await readRedis();
  await stack.control({ latency: { kind: 'fixed', ms: (1000 * concurrency) / rate } });
  const worker = await stack.start('worker');
  const startedAt = performance.now();
  await untilBatch(stack.client, id, undefined, 3_600_000);
  const seconds = (performance.now() - startedAt) / 1000;
  const done = await readRedis();
  const store = join(stack.directory, 'data/store');
  const segments = (await readdir(join(store, 'segments', id))).length;
  const each = (name: string): number => Math.round(((done[name] ?? 0) - (empty[name] ?? 0)) / requests);
  console.log(
    JSON.stringify({
      requests,
      promptBytes,
      perSecond: Math.round(requests / seconds),
      redisBytesWaiting: Math.round(((full['used_memory'] ?? 0) - (empty['used_memory'] ?? 0)) / lanesOf(batch)),
      redisNetworkBytes: each('total_net_input_bytes') + each('total_net_output_bytes'),
      redisMiBAfter: Math.round((done['used_memory'] ?? 0) / 2 ** 20),
      workerMiB: await peakMiB(worker.child.pid),
      storeBytes: Math.round((await bytesBelow(store)) / requests),
      segments,
      segmentsPerSecond: Number((segments / seconds).toFixed(2)),
    }),
  );
} finally {
  await stack.stop();
}
