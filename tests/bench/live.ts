/**
 * What a live call costs its caller in time, beside direct calls to the same provider in the same run.
 *
 *   node tests/bench/live.ts [idle|stream|makespan|batch …] [--calls 500] [--latency-ms 20]
 *
 * - idle: calls one after another, in turns direct and through Promptmill; the time beyond the provider's own
 * - stream: the same for the first text of a streamed answer
 * - makespan: 2,000 calls of a second, 500 in flight; whole time over that of direct calls
 * - batch: live calls beside a batch of 20,000 in a lane with 50 calls in flight; how long they wait, and the batch's share
 *
 * All of Promptmill runs as processes of its own. Prints quantiles in milliseconds.
 */
import { setTimeout as delay } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import OpenAI from 'openai';
import { createBatch, inputOf } from '../support/batches.ts';
import { quantile } from '../support/quantile.ts';
import { startMeasuredStack } from './measured-stack.ts';
import { startCaller } from './processes.ts';

const { positionals, values } = parseArgs({
  allowPositionals: true,
  options: { calls: { type: 'string', default: '500' }, 'latency-ms': { type: 'string', default: '20' } },
});
const calls = Number(values.calls);
const latencyMs = Number(values['latency-ms']);

type Stack = Awaited<ReturnType<typeof startMeasuredStack>>;
type Call = (client: OpenAI, model: string, index: number) => Promise<unknown>;

const withStack = async (env: Record<string, string>, use: (stack: Stack) => Promise<void>): Promise<void> => {
  const stack = await startMeasuredStack({ env: { LOG_LEVEL: 'warn', ...env } });
  try {
    await use(stack);
  } finally {
    await stack.stop();
  }
};

const directTo = ({ simulator }: Stack) =>
  new OpenAI({ baseURL: `${simulator.url}/v1`, apiKey: 'none', maxRetries: 0 });

const timeOf = async (work: () => Promise<unknown>): Promise<number> => {
  const startedAt = performance.now();
  await work();
  return performance.now() - startedAt;
};

const show = (what: string, times: readonly number[]): void => {
  const at = (share: number): string => quantile(times, share).toFixed(1);
  console.log(`${what}: p50 ${at(0.5)}, p95 ${at(0.95)}, p99 ${at(0.99)} ms`);
};

const compare = (what: string, call: Call) =>
  withStack({ SIMULATOR_LATENCY_MS: String(latencyMs) }, async (stack) => {
    const direct = directTo(stack);
    const [own, through]: [number[], number[]] = [[], []];
    for (let i = -50; i < calls; i++) {
      const a = await timeOf(() => call(direct, 'echo', i));
      const b = await timeOf(() => call(stack.client, 'simulator/echo', i));
      if (i < 0) continue;
      own.push(a);
      through.push(b);
    }
    show(`${what}, direct`, own);
    show(`${what}, through Promptmill`, through);
    show(
      `${what}, overhead`,
      through.map((time, i) => time - (own[i] ?? Number.NaN)),
    );
  });

const messagesOf = (index: number) => [{ role: 'user' as const, content: `Say ${index}` }];
const whole: Call = (client, model, index) => client.chat.completions.create({ model, messages: messagesOf(index) });
const firstToken: Call = async (client, model, index) => {
  const stream = await client.chat.completions.create({ model, messages: messagesOf(index), stream: true });
  for await (const { choices } of stream) if (choices[0]?.delta.content) break;
};

const runMakespan = () => {
  const [requests, concurrency] = [2000, 500];
  return withStack({ WORKER_CONCURRENCY: String(concurrency), SIMULATOR_LATENCY_MS: '5' }, async (stack) => {
    const makespan = async ({ url }: { readonly url: string }, model: string): Promise<number> => {
      const caller = await startCaller('sdk', { url, concurrency, model });
      await stack.control({ latency: { kind: 'fixed', ms: 5 } });
      await caller.run(requests);
      await stack.control({ latency: { kind: 'fixed', ms: 1000 } });
      const ms = await timeOf(() => caller.run(requests));
      await caller.stop();
      return ms;
    };
    for (let round = 0; round < 3; round++) {
      const direct = await makespan(stack.simulator, 'echo');
      const live = await makespan(stack.api, 'simulator/echo');
      console.log(
        `makespan: direct ${direct.toFixed(0)} ms, through Promptmill ${live.toFixed(0)} ms, ratio ${(live / direct).toFixed(3)}`,
      );
    }
  });
};

const besideBatch = () => {
  const [callMs, seconds, concurrency] = [500, 30, 50];
  return withStack({ WORKER_CONCURRENCY: String(concurrency), SIMULATOR_LATENCY_MS: String(callMs) }, async (stack) => {
    const { id } = await createBatch(stack.client, inputOf(20_000));
    const completed = async () => (await stack.client.batches.retrieve(id)).request_counts?.completed ?? 0;
    while ((await completed()) < 100) await delay(100);
    const waits: number[] = [];
    const ask = async (index: number): Promise<void> => {
      const call = stack.client.chat.completions.create({ model: 'simulator/echo', messages: messagesOf(index) });
      const { response } = await call.withResponse();
      waits.push(Number(response.headers.get('x-promptmill-wait-ms')));
    };
    const before = await completed();
    const asked: Promise<void>[] = [];
    for (let i = 0; i < seconds * 20; i++) {
      asked.push(ask(i));
      await delay(50);
    }
    await Promise.all(asked);
    show(`live calls beside a batch, ${callMs} ms a call, 20 a second: wait`, waits);
    console.log(`the batch meanwhile: ${((await completed()) - before) / seconds} requests a second`);

    // As many callers as the lane has calls in flight, and twice as many again.
    const flood = await startCaller('undici', {
      url: stack.api.url,
      concurrency: 3 * concurrency,
      model: 'simulator/echo',
    });
    const [from, count] = [await completed(), 2000];
    const ms = await timeOf(() => flood.run(count));
    const batch = (await completed()) - from;
    console.log(
      `flood of live calls: ${count} live, ${batch} of the batch in ${(ms / 1000).toFixed(1)} s; share of the batch ${((100 * batch) / (count + batch)).toFixed(1)} %`,
    );
    await flood.stop();
  });
};

const parts: Readonly<Record<string, () => Promise<void>>> = {
  idle: () => compare('idle call', whole),
  stream: () => compare('first text of a stream', firstToken),
  makespan: runMakespan,
  batch: besideBatch,
};
for (const name of positionals.length > 0 ? positionals : Object.keys(parts)) await parts[name]?.();
