/**
 * Floods an api as one tenant, in every way at once, until SIGTERM. Then it prints how the api answered, as JSON.
 *
 *   node tests/bench/flood.ts <api url> <api key> [<a kind that is left out>…]
 */
import { constants, setPriority } from 'node:os';
import { setTimeout as delay } from 'node:timers/promises';
import { inputOf } from '../support/batches.ts';

const [url = '', key = '', ...leftOut] = process.argv.slice(2);
const answers: Record<string, Record<string, number>> = {};
const stopping = new AbortController();
/** A caller's pause between two calls. */
const pauseMs = 20;
const listenAgainAfterMs = 1000;

// The flood shares a machine with what it floods. Its own work must not take the processor from it.
setPriority(constants.priority.PRIORITY_LOW);

const send = async (kind: string, route: string, init: RequestInit = {}): Promise<string> => {
  const headers = new Headers(init.headers);
  headers.set('authorization', `Bearer ${key}`);
  let [status, text] = ['no answer', ''];
  try {
    const answer = await fetch(`${url}/v1${route}`, { ...init, headers, signal: stopping.signal });
    status = String(answer.status);
    text = await answer.text();
  } catch {
    if (stopping.signal.aborted) return '';
  }
  const counts = (answers[kind] ??= {});
  counts[status] = (counts[status] ?? 0) + 1;
  return text;
};

const postJson = (kind: string, route: string, body: string): Promise<string> =>
  send(kind, route, { method: 'POST', headers: { 'content-type': 'application/json' }, body });

const upload = (kind: string, content: string): Promise<string> => {
  const body = new FormData();
  body.append('purpose', 'batch');
  body.append('file', new File([content], 'flood.jsonl'));
  return send(kind, '/files', { method: 'POST', body });
};

/** A batch of a few prompts. Resolves with its id, or undefined when it was refused. */
const create = async (kind: string, prompts: readonly string[]): Promise<string | undefined> => {
  const text = await postJson(kind, '/batches', JSON.stringify({ model: 'simulator/echo', prompts }));
  return /"id":"(batch_\w+)"/.exec(text)?.[1];
};

const largeFile = inputOf(20_000, (i) => `Say ${i} ${'x'.repeat(200)}`);
const largeBody = JSON.stringify({ model: 'simulator/echo', prompts: [`Say ${'x'.repeat(30 * 1024 * 1024)}`] });
let smallBatches = 0;

/** What one caller does again and again, and how many callers do it. */
const floods: Readonly<Record<string, readonly [callers: number, call: () => Promise<unknown>]>> = {
  uploads: [4, () => upload('uploads', largeFile)],
  'lists of files': [4, () => send('lists of files', '/files?limit=1000')],
  'lists of batches': [4, () => send('lists of batches', '/batches?limit=100')],
  'large bodies': [2, () => postJson('large bodies', '/batches', largeBody)],
  'poison requests': [2, () => create('poison requests', ['[[sim:status=403]] a', '[[sim:status=403]] b'])],
  'small batches': [8, async () => (smallBatches++ < 1000 ? create('small batches', ['Say 1', 'Say 2']) : delay(1000))],
  'wrong keys': [
    4,
    async () => {
      const answer = await fetch(`${url}/v1/batches`, { headers: { authorization: 'Bearer wrong' } }).catch(() => {});
      await answer?.text();
    },
  ],
};

process.once('SIGTERM', () => {
  stopping.abort();
  console.log(JSON.stringify(answers));
  process.exit(0);
});

const watched = await create('small batches', ['[[sim:latency=3600000]] Wait']);
for (const [kind, [callers, call]] of Object.entries(floods))
  for (let caller = 0; caller < callers && !leftOut.includes(kind); caller++)
    void (async () => {
      while (!stopping.signal.aborted) {
        await call();
        await delay(pauseMs);
      }
    })();
for (let stream = 0; stream < 600 && !leftOut.includes('event streams'); stream++)
  void (async () => {
    while (!stopping.signal.aborted) {
      await send('event streams', `/batches/${watched}/events`);
      await delay(listenAgainAfterMs);
    }
  })();
