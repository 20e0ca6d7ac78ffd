import { closeRedis, connectRedis, createKeys, openLaneQueue, type RedisConnection } from '@promptmill/queue';
import { afterAll, beforeAll, describe, expect, inject, it } from 'vitest';
import { checkBatch, createBatch, untilBatch } from '../support/batches.ts';
import { freePort } from '../support/free-port.ts';
import { type Stack, startStack } from '../support/stack.ts';

const attempts = 3;
/** Long enough for an answer on a busy machine. */
const timeoutMs = 4000;
const probeIntervalMs = 200;

interface Row {
  readonly fault: string;
  /** The call asks for a stream. */
  readonly stream?: true;
  readonly class: 'retry' | 'final' | 'provider';
  /** The status or code in the line of a request that always meets the fault. `nothing`: the request waits. */
  readonly left: number | string;
}

/** Every fault of the simulator, its class, and what is left of a request that always meets it. */
const rows: readonly Row[] = [
  // The request is not tried again: the answer goes to the error file as it is.
  { fault: 'status=400', class: 'final', left: 400 },
  { fault: 'status=404', class: 'final', left: 404 },
  { fault: 'status=413', class: 'final', left: 413 },
  { fault: 'status=422', class: 'final', left: 422 },
  // The request is tried again until its attempts are used up.
  { fault: 'status=408', class: 'retry', left: 408 },
  { fault: 'status=409', class: 'retry', left: 409 },
  { fault: 'status=500', class: 'retry', left: 500 },
  { fault: 'status=502', class: 'retry', left: 502 },
  { fault: 'status=503', class: 'retry', left: 503 },
  { fault: 'status=504', class: 'retry', left: 504 },
  { fault: 'status=529', class: 'retry', left: 529 },
  { fault: 'fault=hang', class: 'retry', left: 'request_timeout' },
  { fault: 'fault=hang-after-headers', class: 'retry', left: 'request_timeout' },
  { fault: 'fault=hang-mid-body', class: 'retry', left: 'request_timeout' },
  { fault: 'fault=trickle', class: 'retry', left: 'request_timeout' },
  { fault: 'fault=truncate', class: 'retry', left: 'connection_error' },
  { fault: 'fault=reset', class: 'retry', left: 'connection_error' },
  { fault: 'fault=stream-cut', class: 'retry', left: 'connection_error' },
  { fault: 'fault=html', class: 'retry', left: 'invalid_answer' },
  { fault: 'fault=empty', class: 'retry', left: 'invalid_answer' },
  { fault: 'fault=invalid-json', class: 'retry', left: 'invalid_answer' },
  { fault: 'fault=wrong-shape', class: 'retry', left: 'invalid_answer' },
  // The provider wants fewer calls, or none until someone acts: the lane waits, and no attempt is used.
  { fault: 'status=429', class: 'retry', left: 'nothing' },
  { fault: 'status=429;retry-after-ms=100', class: 'retry', left: 'nothing' },
  { fault: 'status=401', class: 'provider', left: 'nothing' },
  { fault: 'status=402', class: 'provider', left: 'nothing' },
  { fault: 'status=403', class: 'provider', left: 'nothing' },
  { fault: 'fault=insufficient_quota', class: 'provider', left: 'nothing' },
  // The same faults within a stream.
  { fault: 'status=503', stream: true, class: 'retry', left: 503 },
  { fault: 'fault=hang', stream: true, class: 'retry', left: 'request_timeout' },
  { fault: 'fault=hang-after-headers', stream: true, class: 'retry', left: 'request_timeout' },
  { fault: 'fault=hang-mid-body', stream: true, class: 'retry', left: 'request_timeout' },
  { fault: 'fault=trickle', stream: true, class: 'retry', left: 'request_timeout' },
  { fault: 'fault=truncate', stream: true, class: 'retry', left: 'connection_error' },
  { fault: 'fault=reset', stream: true, class: 'retry', left: 'connection_error' },
  { fault: 'fault=stream-cut', stream: true, class: 'retry', left: 'connection_error' },
  { fault: 'fault=html', stream: true, class: 'retry', left: 'invalid_answer' },
  { fault: 'fault=empty', stream: true, class: 'retry', left: 'invalid_answer' },
  { fault: 'fault=invalid-json', stream: true, class: 'retry', left: 'invalid_answer' },
  { fault: 'fault=wrong-shape', stream: true, class: 'retry', left: 'invalid_answer' },
  { fault: 'status=429', stream: true, class: 'retry', left: 'nothing' },
  { fault: 'fault=insufficient_quota', stream: true, class: 'provider', left: 'nothing' },
];

/** A model with a lane of its own for each row, so that one fault's lane does not affect another. */
const modelOf = ({ fault, stream }: Row): string => `${fault.replace(/[=;]/g, '-')}${stream ? '-streamed' : ''}`;

/** The lane of a model: its own if the configuration gives it one, else its provider's. */
const laneOf = (model: string): string => {
  const [provider = '', name = ''] = model.split('/');
  return rows.some((row) => modelOf(row) === name) ? `${provider}.${name}` : provider;
};

const config = (closedPort: number): string =>
  JSON.stringify({
    retry: { attempts, baseDelayMs: 10, maxDelayMs: 50 },
    providers: {
      simulator: {
        timeoutMs,
        probeIntervalMs,
        models: Object.fromEntries(rows.map((row) => [modelOf(row), { concurrency: 2 }])),
      },
      closed: { baseUrl: `http://127.0.0.1:${closedPort}/v1` },
    },
  });

interface Request {
  readonly model: string;
  readonly prompt: string;
  readonly stream?: boolean;
}

const inputOf = (requests: readonly Request[]): string =>
  requests
    .map(({ model, prompt, stream = false }, i) => {
      const body = { model, stream, messages: [{ role: 'user', content: prompt }] };
      return `${JSON.stringify({ custom_id: `request-${i}`, method: 'POST', url: '/v1/chat/completions', body })}\n`;
    })
    .join('');

/** What became of a request: its line, its attempts, its calls. */
interface Fate {
  readonly line: {
    readonly response: { readonly status_code: number; readonly body: { readonly object?: string } } | null;
    readonly error: { code: string } | null;
  };
  readonly file: 'output' | 'errors';
  readonly attempts: number | undefined;
  /** The status that the provider gave for each call; 0 when it gave none. */
  readonly calls: readonly number[];
}

describe('what becomes of a request when its provider fails', () => {
  let stack: Stack;
  let redis: RedisConnection;

  beforeAll(async () => {
    redis = connectRedis({ url: inject('redisUrl'), whileAway: 'wait', onError: () => {} });
    stack = await startStack({
      redisUrl: inject('redisUrl'),
      files: { 'promptmill.yaml': config(await freePort()) },
    });
  });
  afterAll(async () => {
    await closeRedis(redis);
    await stack.stop();
  });

  const attemptsOf = async (model: string, jobId: string): Promise<number | undefined> => {
    const queue = openLaneQueue(redis, createKeys(stack.prefix), laneOf(model));
    const job = await queue.getJob(jobId);
    await queue.close();
    return job?.attemptsMade;
  };

  /** Runs the requests as one batch, and checks it against the promises. */
  const run = async (requests: readonly Request[]): Promise<readonly Fate[]> => {
    const input = inputOf(requests);
    const { id } = await createBatch(stack.client, input);
    const batch = await untilBatch(stack.client, id);
    const files = await checkBatch(stack, batch, input, { allowedRetries: attempts - 1 });
    const lines = (['output', 'errors'] as const).flatMap((file) =>
      (files[file] ?? '')
        .split('\n')
        .filter((text) => text !== '')
        .map((text) => ({ file, line: JSON.parse(text) as Fate['line'] & { custom_id: string } })),
    );
    const calls = await stack.calls();
    return Promise.all(
      requests.map(async ({ model }, i) => {
        const written = lines.find(({ line }) => line.custom_id === `request-${i}`);
        if (!written) throw new Error(`request-${i} left no line`);
        const jobId = `${id}-${i}`;
        return {
          ...written,
          attempts: await attemptsOf(model, jobId),
          calls: calls.filter(({ key }) => key === jobId).map(({ status }) => status),
        };
      }),
    );
  };

  const failuresByLane = async (): Promise<Map<string, string>> => {
    const metrics = await (await fetch(`${stack.workers[0]?.url}/metrics`)).text();
    const counts = metrics.matchAll(
      /^promptmill_calls_total\{lane="([^"]+)",class="(retry|final|provider)",.*\} \d+$/gm,
    );
    return new Map([...counts].map(([, lane = '', failure = '']) => [lane, failure]));
  };

  it('each fault leads to its class, attempts, calls and line', async () => {
    const request = (row: Row, times: string): Request => ({
      model: `simulator/${modelOf(row)}`,
      prompt: `[[sim:${row.fault}${times}]]`,
      stream: row.stream === true,
    });
    const lasting = rows.filter(({ left }) => left !== 'nothing');
    const fates = await run([
      ...rows.map((row) => request(row, ';times=1')),
      ...lasting.map((row) => request(row, '')),
      { model: 'closed/echo', prompt: 'Is anyone there?' },
    ]);

    const seen = fates.map(({ line, file, attempts: used, calls }) => ({
      file,
      left: line.response?.status_code ?? line.error?.code,
      attempts: used,
      calls: calls.length,
    }));
    const expectedOnce = rows.map(({ class: failure, left }) => {
      if (failure === 'final') return { file: 'errors', left, attempts: 1, calls: 1 };
      return { file: 'output', left: 200, attempts: left === 'nothing' ? 1 : 2, calls: 2 };
    });
    const expectedAlways = lasting.map(({ class: failure, left }) => {
      const calls = failure === 'final' ? 1 : attempts;
      return { file: 'errors', left, attempts: calls, calls };
    });
    const table = (outcomes: readonly unknown[], of: readonly Row[]) =>
      Object.fromEntries(of.map((row, i) => [modelOf(row), outcomes[i]]));
    expect(table(seen, rows)).toEqual(table(expectedOnce, rows));
    expect(table(seen.slice(rows.length), lasting)).toEqual(table(expectedAlways, lasting));
    expect(seen.at(-1)).toEqual({ file: 'errors', left: 'connection_error', attempts, calls: 0 });

    const answers = fates.filter(({ file }) => file === 'output').map(({ line }) => line.response?.body.object);
    expect(new Set(answers)).toEqual(new Set(['chat.completion']));

    const classes = await failuresByLane();
    const expectedClasses = rows.map((row) => [`simulator.${modelOf(row)}`, row.class]);
    expect(Object.fromEntries(classes)).toEqual(Object.fromEntries([...expectedClasses, ['closed', 'retry']]));
  });

  it('the error file holds the answer as the provider gave it', async () => {
    const [refused] = await run([{ model: 'simulator/echo', prompt: '[[sim:status=422]]' }]);
    expect(refused?.line).toMatchObject({
      response: {
        status_code: 422,
        request_id: expect.stringMatching(/^req_/),
        body: { error: { type: expect.any(String) } },
      },
      error: null,
    });
  });

  it('an answer that a content filter stopped is in the output file', async () => {
    const [filtered] = await run([{ model: 'simulator/echo', prompt: '[[sim:fault=content-filter]]' }]);
    expect(filtered).toMatchObject({
      file: 'output',
      line: { response: { body: { choices: [{ finish_reason: 'content_filter' }] } } },
      calls: [200],
    });
  });

  it('an answer nested too deeply to be written becomes an error line, and holds up no other request', async () => {
    const prompts = ['before', '[[sim:fault=too-deep]]', 'after'];
    const fates = await run(prompts.map((prompt) => ({ model: 'simulator/echo', prompt })));
    expect(fates.map(({ file }) => file)).toEqual(['output', 'errors', 'output']);
    expect(fates[1]).toMatchObject({
      line: { response: null, error: { code: 'answer_not_storable' } },
      attempts: 1,
      calls: [200],
    });
  });

  it('requests wait, and only probes are sent, while the provider takes no call until someone acts', async () => {
    const control = (change: unknown) =>
      fetch(`${stack.simulator.url}/control`, {
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        body: JSON.stringify(change),
      });
    await control({ errorRate: 1, errorStatus: 401 });
    const input = inputOf(Array.from({ length: 100 }, () => ({ model: 'simulator/echo', prompt: 'Hi' })));
    const { id } = await createBatch(stack.client, input);
    const refused = async () => (await stack.calls()).filter(({ key }) => key?.startsWith(id)).length;
    await expect.poll(refused).toBeGreaterThan(0);
    const before = await refused();
    const startedAt = performance.now();
    await expect.poll(refused, { timeout: 10_000 }).toBeGreaterThanOrEqual(before + 3);
    const probesDue = Math.ceil((performance.now() - startedAt) / probeIntervalMs);
    expect((await refused()) - before).toBeLessThanOrEqual(probesDue + 50);
    await control({ errorRate: 0 });
    const batch = await untilBatch(stack.client, id);
    expect(batch.request_counts).toEqual({ total: 100, completed: 100, failed: 0 });
    await checkBatch(stack, batch, input, { allowedRetries: 1000 });
    const used = await Promise.all(Array.from({ length: 100 }, (_, i) => attemptsOf('simulator/echo', `${id}-${i}`)));
    expect(new Set(used)).toEqual(new Set([1]));
  });
});
