/**
 * Measures what small batches cost: the processor time of each role for a batch of two requests.
 *
 *   node tests/bench/small-batches.ts [batches=500] [callers=8]
 */
import { parseArgs } from 'node:util';
import { startMeasuredStack } from './measured-stack.ts';

const { positionals } = parseArgs({ allowPositionals: true });
const [batches = 500, callers = 8] = positionals.map(Number);

const stack = await startMeasuredStack({
  workers: 2,
  collectors: 2,
  env: { SIMULATOR_LATENCY_MS: '100', LOG_LEVEL: 'warn' },
});

/** Runs this many batches. Resolves when all have ended. */
const run = async (count: number): Promise<void> => {
  let left = count;
  const call = async (): Promise<void> => {
    while (left-- > 0) {
      const created = await fetch(`${stack.api.url}/v1/batches`, {
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        body: JSON.stringify({ model: 'simulator/echo', prompts: ['Say 1', 'Say 2'] }),
      });
      if (!created.ok) throw new Error(`a batch was not created: ${await created.text()}`);
      const { id } = (await created.json()) as { id: string };
      for await (const _ of (await fetch(`${stack.api.url}/v1/batches/${id}/events`)).body ?? []);
    }
  };
  await Promise.all(Array.from({ length: callers }, call));
};

try {
  await run(50);
  const before = await stack.costs();
  const startedAt = performance.now();
  await run(batches);
  const seconds = (performance.now() - startedAt) / 1000;
  const after = await stack.costs();
  console.log(`${batches} batches of two requests in ${seconds.toFixed(1)} s; processor time a batch:`);
  const ms: Record<string, number> = {};
  for (const [name, { cpuSeconds }] of Object.entries(after)) {
    const role = name.split(' ')[0] ?? name;
    ms[role] = (ms[role] ?? 0) + (1000 * (cpuSeconds - (before[name]?.cpuSeconds ?? 0))) / batches;
  }
  for (const [role, each] of Object.entries(ms)) console.log(`  ${role}: ${each.toFixed(1)} ms`);
} finally {
  await stack.stop();
}
