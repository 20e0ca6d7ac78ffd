import { createBatch, inputOf, untilBatch } from '../support/batches.ts';
import { startMeasuredStack } from './measured-stack.ts';
const workers = Number(process.argv[2] ?? 2);
const concurrency = process.argv[3] ? { concurrency: Number(process.argv[3]) } : {};
const marker = process.argv[4] ?? 'status=500;times=1';
const stack = await startMeasuredStack({
  workers,
  env: { LOG_LEVEL: 'warn', SIMULATOR_LATENCY_MS: '20' },
  files: { 'promptmill.yaml': JSON.stringify({ retry: { attempts: 10, baseDelayMs: 10, maxDelayMs: 50 }, providers: { simulator: { ...concurrency } } }) },
});
try {
  for (let n = 0; n < 8; n++) {
    const startedAt = performance.now();
    const { id } = await createBatch(stack.client, inputOf(60, (i) => i > 40 && i % 4 === 0 ? `[[sim:${marker}]] ${i}` : `${i}`));
    await untilBatch(stack.client, id);
    console.log(Math.round(performance.now() - startedAt), 'ms');
    const calls = (await stack.calls()).filter((c) => c.key?.startsWith(id));
    const t0 = Math.min(...calls.map((c) => c.at));
    console.log(calls.filter((c) => c.at - t0 > 400).map((c) => [c.at - t0, c.status, c.key?.split('-')[1]].join(' ')).join(' | '));
  }
} finally { await stack.stop(); }
