/**
 * A process that makes requests: `caller.ts sdk|undici|bullmq URL CONCURRENCY MODEL [REDIS_URL]`. `processes.ts` starts it and sends it a number of requests. It makes them,
 * and sends back how many got the right answer.
 *
 * - sdk: a pool of promises over the openai SDK as it is, without retries
 * - undici: the same pool over undici's `request`
 * - bullmq: jobs added by `addBulk`, a worker with that SDK, and its return values as the results
 */
import { Queue, Worker } from 'bullmq';
import OpenAI from 'openai';
import type { ChatCompletion } from 'openai/resources/chat/completions';
import { Agent, request } from 'undici';
import type { CallerKind } from './processes.ts';

const [kind, url, concurrencyText, model = '', redisUrl] = process.argv.slice(2);
const concurrency = Number(concurrencyText);

type Call = (prompt: string) => Promise<ChatCompletion>;
type Run = (requests: number) => Promise<number>;

const promptOf = (index: number): string => `Say ${index}`;
const bodyOf = (content: string) => ({ model, messages: [{ role: 'user' as const, content }] });
const answers = (completion: ChatCompletion, prompt: string): boolean =>
  completion.choices[0]?.message.content === prompt;

const callWithSdk = (): Call => {
  const sdk = new OpenAI({ baseURL: `${url}/v1`, apiKey: 'none', maxRetries: 0 });
  return (prompt) => sdk.chat.completions.create(bodyOf(prompt));
};

const callWithUndici = (): Call => {
  const dispatcher = new Agent({ connections: concurrency });
  const headers = { 'content-type': 'application/json', authorization: 'Bearer none' };
  return async (prompt) => {
    const body = JSON.stringify(bodyOf(prompt));
    const response = await request(`${url}/v1/chat/completions`, {
      method: 'POST',
      dispatcher,
      headers,
      body,
    });
    return (await response.body.json()) as ChatCompletion;
  };
};

const inPool =
  (call: Call): Run =>
  async (requests) => {
    let next = 0;
    let right = 0;
    const callInTurn = async (): Promise<void> => {
      while (next < requests) {
        const prompt = promptOf(next++);
        if (answers(await call(prompt), prompt)) right++;
      }
    };
    await Promise.all(Array.from({ length: concurrency }, callInTurn));
    return right;
  };

const inQueue = (call: Call): Run => {
  const connection = { url: redisUrl ?? '', maxRetriesPerRequest: null };
  const queue = new Queue<{ prompt: string }>('plain', { connection });
  const worker = new Worker<{ prompt: string }, ChatCompletion>('plain', ({ data }) => call(data.prompt), {
    connection,
    concurrency,
  });
  return async (requests) => {
    let right = 0;
    let left = requests;
    const { promise: ended, resolve, reject } = Promise.withResolvers<void>();
    worker.removeAllListeners('completed').on('completed', ({ data }, completion) => {
      if (answers(completion, data.prompt)) right++;
      if (--left === 0) resolve();
    });
    worker.removeAllListeners('failed').on('failed', (_job, error) => {
      reject(error);
    });
    const jobs = Array.from({ length: requests }, (_, i) => ({ name: 'request', data: { prompt: promptOf(i) } }));
    for (let i = 0; i < requests; i += 1000) await queue.addBulk(jobs.slice(i, i + 1000));
    await ended;
    return right;
  };
};

const runs: Readonly<Record<CallerKind, () => Run>> = {
  sdk: () => inPool(callWithSdk()),
  undici: () => inPool(callWithUndici()),
  bullmq: () => inQueue(callWithSdk()),
};

const run = runs[kind as CallerKind]();
process.on('message', (requests: number) => {
  void run(requests).then((right) => process.send?.(right));
});
process.once('disconnect', () => process.exit());
process.send?.('ready');
