/**
 * What is saved by calls that go together, measured at one simulator.
 *
 * Embeddings: runs lines of one model with a call each, and then with shared calls. It prints calls, seconds and processor
 * time, and fails when tokens or cost of the two differ, or a result is missing.
 *
 *   node tests/bench/together.ts [--lines 20000] [--latency-ms 100]
 */
import { parseArgs } from 'node:util';
import { createBatch, untilBatch } from '../support/batches.ts';
import { startMeasuredStack } from './measured-stack.ts';

const { values } = parseArgs({
  options: {
    lines: { type: 'string', default: '20000' },
    'latency-ms': { type: 'string', default: '100' },
  },
});
const lines = Number(values.lines);
const timeoutMs = 1_800_000;

const configFile = `
providers:
  simulator:
    models:
      single: { prices: { input: 0.02 } }
      shared: { prices: { input: 0.02 }, embeddingsPerCall: 2048 }
`;

/** Texts of some 20 to 120 tokens. */
const embeddingsOf = (model: string): string =>
  Array.from({ length: lines }, (_, i) => {
    const body = { model: `simulator/${model}`, input: `${i}: ${'a passage of a document '.repeat(4 + (i % 16))}` };
    return `${JSON.stringify({ custom_id: `line-${i}`, method: 'POST', url: '/v1/embeddings', body })}\n`;
  }).join('');

const stack = await startMeasuredStack({
  env: { SIMULATOR_LATENCY_MS: values['latency-ms'], LOG_LEVEL: 'warn' },
  files: { 'promptmill.yaml': configFile },
});

const cpuSeconds = async (): Promise<number> =>
  Object.entries(await stack.costs()).reduce(
    (sum, [name, cost]) => sum + (name.startsWith('simulator') ? 0 : cost.cpuSeconds),
    0,
  );

const run = async (input: string, endpoint: '/v1/embeddings' | '/v1/chat/completions') => {
  const [callsBefore, cpuBefore, startedAt] = [(await stack.calls()).length, await cpuSeconds(), performance.now()];
  const { id } = await createBatch(stack.client, input, { endpoint });
  const batch = await untilBatch(stack.client, id, undefined, timeoutMs);
  const seconds = (performance.now() - startedAt) / 1000;
  const { completed = 0 } = batch.request_counts ?? {};
  if (completed !== lines) throw new Error(`${completed} results of ${lines}`);
  const { spent } = (batch as unknown as { promptmill: { cost: { spent: number } } }).promptmill.cost;
  return {
    calls: (await stack.calls()).length - callsBefore,
    seconds,
    cpu: (1e6 * ((await cpuSeconds()) - cpuBefore)) / lines,
    tokens: batch.usage?.input_tokens ?? 0,
    cached: batch.usage?.input_tokens_details.cached_tokens ?? 0,
    spent,
  };
};

try {
  const single = await run(embeddingsOf('single'), '/v1/embeddings');
  const shared = await run(embeddingsOf('shared'), '/v1/embeddings');
  if (single.tokens !== shared.tokens || single.spent !== shared.spent)
    throw new Error(`tokens or cost differ: ${JSON.stringify({ single, shared })}`);
  console.log(`${lines} lines of embeddings, ${single.tokens} tokens, ${single.spent} USD each way`);
  console.log('| calls | number | calls ÷ lines | seconds | CPU, µs a line |');
  console.log('| --- | ---: | ---: | ---: | ---: |');
  for (const [name, { calls, seconds, cpu }] of Object.entries({ 'one a line': single, shared }))
    console.log(`| ${name} | ${calls} | ${(calls / lines).toFixed(5)} | ${seconds.toFixed(1)} | ${cpu.toFixed(0)} |`);
} finally {
  await stack.stop();
}
