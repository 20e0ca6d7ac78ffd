/**
 * Prints how much processor time of this process one call takes, in microseconds:
 *   node packages/provider/bench/call-cost.ts
 * 100 calls are in flight to a server that runs in a process of its own and answers at once.
 */
import { fork } from 'node:child_process';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import OpenAI from 'openai';
import { Pool } from 'undici';
import { createProviderClient } from '../src/index.ts';

const inFlight = 100;
const callsPerRound = 4000;
const rounds = 5;

const answer = JSON.stringify({
  id: 'chatcmpl-1',
  object: 'chat.completion',
  created: 1,
  model: 'echo',
  choices: [{ index: 0, message: { role: 'assistant', content: 'y'.repeat(400) }, finish_reason: 'stop' }],
  usage: { prompt_tokens: 100, completion_tokens: 100, total_tokens: 200 },
});

const serve = (): void => {
  const server = createServer((request, response) => {
    request.resume().on('end', () => {
      response.writeHead(200, {
        'content-type': 'application/json',
        'x-request-id': 'r',
        'content-length': answer.length,
      });
      response.end(answer);
    });
  });
  server.listen(0, '127.0.0.1', () => process.send?.((server.address() as AddressInfo).port));
  process.once('disconnect', () => process.exit());
};

type Call = (signal: AbortSignal) => Promise<unknown>;

const runRound = async (call: Call): Promise<number> => {
  let left = callsPerRound;
  const callInTurn = async (): Promise<void> => {
    while (left-- > 0) await call(new AbortController().signal);
  };
  const before = process.cpuUsage();
  await Promise.all(Array.from({ length: inFlight }, callInTurn));
  const { user, system } = process.cpuUsage(before);
  return (user + system) / callsPerRound;
};

const measure = async (): Promise<void> => {
  const child = fork(import.meta.filename, ['serve']);
  const port = await new Promise<number>((resolve) => child.once('message', (message) => resolve(message as number)));
  const origin = `http://127.0.0.1:${port}`;
  const body = { model: 'echo', messages: [{ role: 'user' as const, content: 'x'.repeat(400) }] };
  const headers = { 'Idempotency-Key': 'batch_0-1' };

  const bare = new OpenAI({ baseURL: `${origin}/v1`, apiKey: 'none', maxRetries: 0 });
  const provider = { name: 'bench', baseUrl: `${origin}/v1`, apiKey: 'none', timeoutMs: 60_000, models: {} };
  const client = createProviderClient(provider, { maxConnections: inFlight });
  const pool = new Pool(origin, { connections: inFlight });
  const calls: Readonly<Record<string, Call>> = {
    'openai SDK, global fetch': (signal) => bare.chat.completions.create(body, { signal, headers }),
    'provider client': (signal) =>
      client.call({ url: '/v1/chat/completions', body, idempotencyKey: 'batch_0-1', signal }),
    'undici alone': async (signal) => {
      const response = await pool.request({
        path: '/v1/chat/completions',
        method: 'POST',
        headers: { 'content-type': 'application/json', ...headers },
        body: JSON.stringify(body),
        signal,
      });
      return response.body.json();
    },
  };
  for (const [name, call] of Object.entries(calls)) {
    await runRound(call);
    const costs: number[] = [];
    for (let round = 0; round < rounds; round++) costs.push(await runRound(call));
    costs.sort((a, b) => a - b);
    console.log(
      `${name.padEnd(26)} ${costs[Math.floor(rounds / 2)]?.toFixed(0)} µs a call (best ${costs[0]?.toFixed(0)})`,
    );
  }
  await client.close();
  await pool.close();
  child.disconnect();
};

if (process.argv[2] === 'serve') serve();
else await measure();
