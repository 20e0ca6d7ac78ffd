import { setTimeout as delay } from 'node:timers/promises';
import { afterAll, beforeAll, expect, inject, it } from 'vitest';
import { checkBatch, createBatch, inputOf, untilBatch } from '../support/batches.ts';
import { type Stack, startStack } from '../support/stack.ts';

/** `LONG_CALL_SECONDS`, by default more than three times as long as a job's lock lasts. */
const callMs = Number(process.env['LONG_CALL_SECONDS'] ?? 25) * 1000;
const timeoutMs = callMs + 60_000;

let stack: Stack;

beforeAll(async () => {
  stack = await startStack({
    redisUrl: inject('redisUrl'),
    workers: 2,
    files: { 'promptmill.yaml': `providers: { simulator: { timeoutMs: ${timeoutMs} } }` },
  });
});
afterAll(() => stack.stop());

it('a long call is made once, even when its worker hangs for 5 s meanwhile', { timeout: 2 * timeoutMs }, async () => {
  const input = inputOf(4, (i) => `Say ${i} [[sim:latency=${callMs}]]`);
  const { id } = await createBatch(stack.client, input);
  for (const worker of stack.workers) {
    await delay(3000);
    worker.child.kill('SIGSTOP');
    await delay(5000);
    worker.child.kill('SIGCONT');
  }
  const batch = await untilBatch(stack.client, id, undefined, timeoutMs);
  expect(batch.status).toBe('completed');
  await checkBatch(stack, batch, input, { allowedRepeats: 0 });
});
