/**
 * Runs a million requests through a few workers, and every so often kills one (SIGKILL) and replaces it. Prints how
 * long it took, whether every line is there once and in order, the calls that kills repeated, and the most memory that
 * Redis and each process held. This process keeps nothing of the batch in memory either.
 *
 *   node tests/bench/million.ts [--requests 1000000] [--workers 3] [--kill-every-s 20] [--latency-ms 20]
 */
import { once } from 'node:events';
import { createReadStream, createWriteStream, openAsBlob } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { Readable } from 'node:stream';
import { setTimeout as delay } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { untilBatch } from '../support/batches.ts';
import type { RoleProcess } from '../support/stack.ts';
import { checkLargeHistory } from './check-large-history.ts';
import { peakMiB, startMeasuredStack } from './measured-stack.ts';

const { values } = parseArgs({
  options: {
    requests: { type: 'string', default: '1000000' },
    workers: { type: 'string', default: '3' },
    'kill-every-s': { type: 'string', default: '20' },
    'latency-ms': { type: 'string', default: '20' },
  },
});
const requests = Number(values.requests);
const killEveryMs = Number(values['kill-every-s']) * 1000;
const concurrency = 50;
/** Redis may hold no more than this, whatever the size of the batch. */
const redisLimitMiB = 300;

const writeInput = async (path: string): Promise<void> => {
  const file = createWriteStream(path);
  for (let i = 0; i < requests; i++) {
    const body = { model: 'simulator/echo', messages: [{ role: 'user', content: `Say ${i}` }] };
    const line = { custom_id: `request-${i}`, method: 'POST', url: '/v1/chat/completions', body };
    if (!file.write(`${JSON.stringify(line)}\n`)) await once(file, 'drain');
  }
  file.end();
  await once(file, 'close');
};

/** Uploads a file without the SDK, which would read it into memory. */
const upload = async (apiUrl: string, path: string): Promise<string> => {
  const form = new FormData();
  form.append('purpose', 'batch');
  form.append('file', await openAsBlob(path), 'input.jsonl');
  const answer = await fetch(`${apiUrl}/v1/files`, { method: 'POST', body: form });
  const { id } = (await answer.json()) as { id?: string };
  if (id === undefined) throw new Error(`the upload was refused with ${answer.status}`);
  return id;
};

const stack = await startMeasuredStack({
  workers: Number(values.workers),
  collectors: 2,
  env: {
    WORKER_CONCURRENCY: String(concurrency),
    SIMULATOR_LATENCY_MS: values['latency-ms'],
    LOG_LEVEL: 'warn',
  },
});

async function* contentOf(fileId: string | null | undefined): AsyncGenerator<string> {
  if (!fileId) return;
  const { body } = await fetch(`${stack.api.url}/v1/files/${fileId}/content`);
  if (body) yield* createInterface({ input: Readable.fromWeb(body), crlfDelay: Infinity });
}

const peaks = new Map<string, number>();
const redisSamples: number[] = [];

/** Notes the memory of all processes. The peak of a killed process cannot be read any more. */
const sample = async (workers: readonly RoleProcess[]): Promise<void> => {
  const running = { api: [stack.api], worker: workers, collector: stack.collectors, simulator: [stack.simulator] };
  for (const [role, list] of Object.entries(running))
    for (const [i, started] of list.entries()) {
      const name = `${role} ${i + 1}`;
      peaks.set(name, Math.max(peaks.get(name) ?? 0, (await peakMiB(started.child.pid)) || 0));
    }
  redisSamples.push(await stack.redisMiB());
};

const repeatEvery = async (everyMs: number, signal: AbortSignal, work: () => Promise<void>): Promise<void> => {
  for (;;) {
    await delay(everyMs, undefined, { signal }).catch(() => {});
    if (signal.aborted) return;
    await work();
  }
};

try {
  const path = join(stack.directory, 'input.jsonl');
  await writeInput(path);
  const startedAt = performance.now();
  const { id } = await stack.client.batches.create({
    input_file_id: await upload(stack.api.url, path),
    endpoint: '/v1/chat/completions',
    completion_window: '24h',
  });

  const workers = [...stack.workers];
  let kills = 0;
  const over = new AbortController();
  const watching = Promise.all([
    repeatEvery(1000, over.signal, () => sample(workers)),
    repeatEvery(killEveryMs, over.signal, async () => {
      const victim = kills++ % workers.length;
      await workers[victim]?.stop('SIGKILL');
      workers[victim] = await stack.start('worker');
    }),
  ]);
  // A failure to watch ends the wait.
  const batch = await Promise.race([
    untilBatch(stack.client, id, undefined, 24 * 3_600_000),
    watching.then(() => new Promise<never>(() => {})),
  ]);
  const seconds = (performance.now() - startedAt) / 1000;
  over.abort();
  await watching;

  await stack.simulator.stop();
  const history = await checkLargeHistory({
    batchId: id,
    requests,
    output: contentOf(batch.output_file_id),
    errors: contentOf(batch.error_file_id),
    calls: createInterface({ input: createReadStream(join(stack.directory, 'calls.jsonl')) }),
  });
  const { total, completed, failed } = batch.request_counts ?? { total: 0, completed: 0, failed: 0 };
  const redisPeakMiB = (await stack.costs())['redis']?.peakMiB ?? Number.NaN;
  console.log(
    JSON.stringify({
      requests,
      status: batch.status,
      counts: batch.request_counts,
      lines: history.completed + history.failed,
      seconds: Math.round(seconds),
      perSecond: Math.round(requests / seconds),
      kills,
      calls: history.calls,
      repeats: history.repeats,
      repeatsThatKillsExplain: kills * concurrency,
      redisPeakMiB,
    }),
  );
  console.table(Object.fromEntries([...peaks].map(([name, peak]) => [name, { peakMiB: peak }])));
  const tenths = Array.from({ length: 10 }, (_, i) => redisSamples[Math.floor((i * redisSamples.length) / 10)]);
  console.log(`Redis, MiB, at each tenth of the run: ${tenths.join(' ')}`);
  const broken = [
    ...(batch.status === 'completed' ? [] : [`the batch is ${batch.status}`]),
    ...(total === requests && completed === history.completed && failed === history.failed ? [] : ['P2: wrong counts']),
    ...(failed === 0 ? [] : [`${failed} requests failed`]),
    ...(history.repeats <= kills * concurrency ? [] : ['P3: more repeats than kills explain']),
    ...(redisPeakMiB <= redisLimitMiB ? [] : [`P6: Redis held ${redisPeakMiB} MiB`]),
  ];
  for (const problem of broken) console.error(problem);
  process.exitCode = broken.length > 0 ? 1 : 0;
} finally {
  await stack.stop();
}
