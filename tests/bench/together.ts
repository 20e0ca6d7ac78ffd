/**
 * What is saved by calls that go together, measured at one simulator.
 *
 * Embeddings: runs lines of one model with a call each, and then with shared calls. It prints calls, seconds and processor
 * time, and fails when tokens or cost of the two differ, or a result is missing.
 *
 * Prompts that begin alike: asks ten questions about each of some documents of 2,000 tokens, all in a row, of a provider
 * that caches prompts; first as they come, and then with one question of each document ahead. It prints what was cached and
 * what it cost: 2.50 USD a million tokens of input, a tenth of that where it was cached, and 10 USD of output.
 *
 *   node tests/bench/together.ts [--lines 20000] [--documents 300] [--latency-ms 100]
 */
import { parseArgs } from 'node:util';
import { createBatch, untilBatch } from '../support/batches.ts';
import { startMeasuredStack } from './measured-stack.ts';

const { values } = parseArgs({
  options: {
    lines: { type: 'string', default: '20000' },
    documents: { type: 'string', default: '300' },
    'latency-ms': { type: 'string', default: '100' },
  },
});
const lines = Number(values.lines);
const documents = Number(values.documents);
const questions = 10;
const timeoutMs = 1_800_000;

const configFile = `
providers:
  simulator:
    models:
      single: { prices: { input: 0.02 } }
      shared: { prices: { input: 0.02 }, embeddingsPerCall: 2048 }
      together: { prices: { input: 2.5, cachedInput: 0.25, output: 10 } }
      ahead: { prices: { input: 2.5, cachedInput: 0.25, output: 10 }, promptCache: true }
`;

/** Texts of some 20 to 120 tokens. */
const embeddingsOf = (model: string): string =>
  Array.from({ length: lines }, (_, i) => {
    const body = { model: `simulator/${model}`, input: `${i}: ${'a passage of a document '.repeat(4 + (i % 16))}` };
    return `${JSON.stringify({ custom_id: `line-${i}`, method: 'POST', url: '/v1/embeddings', body })}\n`;
  }).join('');

const questionsOf = (model: string): string =>
  Array.from({ length: documents * questions }, (_, i) => {
    const document = `Document ${Math.floor(i / questions)}. ${'The miller counts each measure of grain twice. '.repeat(170)}`;
    const messages = [
      { role: 'system', content: document },
      { role: 'user', content: `Question ${i % questions}: what does it say of grain?` },
    ];
    const body = { model: `simulator/${model}`, messages };
    return `${JSON.stringify({ custom_id: `line-${i}`, method: 'POST', url: '/v1/chat/completions', body })}\n`;
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

const run = async (input: string, endpoint: '/v1/embeddings' | '/v1/chat/completions', count: number) => {
  const [callsBefore, cpuBefore, startedAt] = [(await stack.calls()).length, await cpuSeconds(), performance.now()];
  const { id } = await createBatch(stack.client, input, { endpoint });
  const batch = await untilBatch(stack.client, id, undefined, timeoutMs);
  const seconds = (performance.now() - startedAt) / 1000;
  const { completed = 0 } = batch.request_counts ?? {};
  if (completed !== count) throw new Error(`${completed} results of ${count}`);
  const { spent } = (batch as unknown as { promptmill: { cost: { spent: number } } }).promptmill.cost;
  return {
    calls: (await stack.calls()).length - callsBefore,
    seconds,
    cpu: (1e6 * ((await cpuSeconds()) - cpuBefore)) / count,
    tokens: batch.usage?.input_tokens ?? 0,
    cached: batch.usage?.input_tokens_details.cached_tokens ?? 0,
    spent,
  };
};

try {
  const single = await run(embeddingsOf('single'), '/v1/embeddings', lines);
  const shared = await run(embeddingsOf('shared'), '/v1/embeddings', lines);
  if (single.tokens !== shared.tokens || single.spent !== shared.spent)
    throw new Error(`tokens or cost differ: ${JSON.stringify({ single, shared })}`);
  console.log(`${lines} lines of embeddings, ${single.tokens} tokens, ${single.spent} USD each way`);
  console.log('| calls | number | calls ÷ lines | seconds | CPU, µs a line |');
  console.log('| --- | ---: | ---: | ---: | ---: |');
  for (const [name, { calls, seconds, cpu }] of Object.entries({ 'one a line': single, shared }))
    console.log(`| ${name} | ${calls} | ${(calls / lines).toFixed(5)} | ${seconds.toFixed(1)} | ${cpu.toFixed(0)} |`);

  await stack.control({ promptCache: true });
  const asked = documents * questions;
  const together = await run(questionsOf('together'), '/v1/chat/completions', asked);
  const ahead = await run(questionsOf('ahead'), '/v1/chat/completions', asked);
  if (ahead.spent >= together.spent) throw new Error(`nothing was saved: ${JSON.stringify({ together, ahead })}`);
  console.log(`\n${asked} questions about ${documents} documents, ${together.tokens} input tokens each way`);
  console.log('| questions of a document | input cached | USD | seconds | CPU, µs a request |');
  console.log('| --- | ---: | ---: | ---: | ---: |');
  for (const [name, { cached, tokens, spent, seconds, cpu }] of Object.entries({ together, 'one ahead': ahead })) {
    const share = `${((100 * cached) / tokens).toFixed(0)} %`;
    console.log(`| ${name} | ${share} | ${spent.toFixed(4)} | ${seconds.toFixed(1)} | ${cpu.toFixed(0)} |`);
  }
} finally {
  await stack.stop();
}
