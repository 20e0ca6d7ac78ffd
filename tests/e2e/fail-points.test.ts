import { type Simulator, startSimulator } from '@promptmill/simulator';
import { type OpenAI, toFile } from 'openai';
import { afterAll, beforeAll, describe, inject, it } from 'vitest';
import { checkBatch, inputOf, untilBatch } from '../support/batches.ts';
import { type Role, type Stack, startStack } from '../support/stack.ts';

interface Row {
  /** As PROMPTMILL_FAIL_POINT takes it. */
  readonly point: string;
  /** Whose process dies there. */
  readonly role: Exclude<Role, 'simulator'>;
  /** What the next process lists before the client tries again. */
  readonly listed?: { readonly files: number; readonly batches: number };
  /** Calls that the death repeats. Default 0. */
  readonly repeats?: number;
  readonly model?: string;
}

const rows: readonly Row[] = [
  { point: 'input-stored', role: 'api', listed: { files: 0, batches: 0 } },
  { point: 'batch-recorded', role: 'api', listed: { files: 1, batches: 0 } },
  { point: 'batch-queued', role: 'api', listed: { files: 1, batches: 1 } },
  { point: 'jobs-added:2', role: 'api' },
  { point: 'cursor-moved:2', role: 'api' },
  { point: 'answered:5', role: 'worker', repeats: 1 },
  { point: 'recorded:5', role: 'worker' },
  { point: 'fallback-added:5', role: 'worker', model: 'refusing/echo' },
  { point: 'segment-written', role: 'collector' },
  { point: 'segment-committed', role: 'collector' },
  { point: 'files-published', role: 'collector' },
  { point: 'finished', role: 'collector' },
];

/** More than the first chunk that dispatch adds. */
const requests = 120;

/** Undefined when the api died before it answered. */
const upload = async (client: OpenAI, input: string): Promise<string | undefined> => {
  const file = await toFile(Buffer.from(input), 'input.jsonl');
  const created = await client.files.create({ file, purpose: 'batch' }).catch(() => undefined);
  return created?.id;
};

const create = async (client: OpenAI, fileId: string): Promise<string | undefined> => {
  const created = await client.batches
    .create(
      { input_file_id: fileId, endpoint: '/v1/chat/completions', completion_window: '24h' },
      { headers: { 'Idempotency-Key': 'the only one' } },
    )
    .catch(() => undefined);
  return created?.id;
};

const listed = async (client: OpenAI): Promise<{ files: number; batches: number }> => {
  const [files, batches] = await Promise.all([client.files.list({ purpose: 'batch' }), client.batches.list()]);
  return { files: files.data.length, batches: batches.data.length };
};

const victimOf = (stack: Stack, role: Row['role']) => {
  const victim = { api: stack.api, worker: stack.workers[0], collector: stack.collectors[0] }[role];
  if (!victim) throw new Error(`no ${role}`);
  return victim;
};

describe('a process that dies at a fail point, and the next that takes over', () => {
  let refusing: Simulator;

  beforeAll(async () => {
    refusing = await startSimulator({ errorRate: 1, errorStatus: 401 });
  });
  afterAll(() => refusing.close());

  it.concurrent.for(rows)('$point: nothing is lost', async (row, { expect }) => {
    const { point, role, repeats = 0 } = row;
    const stack = await startStack({
      redisUrl: inject('redisUrl'),
      // One call at a time: what its death repeats can be told exactly.
      env: { PROMPTMILL_FAIL_POINT: point, WORKER_CONCURRENCY: '1' },
      files: {
        'promptmill.yaml': `providers: { refusing: { baseUrl: ${refusing.url}, models: { echo: { fallback: [simulator/echo] } } } }`,
      },
    });
    try {
      const input = inputOf(requests, undefined, row.model);
      const file = await upload(stack.client, input);
      const batch = file && (await create(stack.client, file));
      const { child } = victimOf(stack, role);
      await expect.poll(() => child.signalCode, { timeout: 30_000 }).toBe('SIGKILL');

      const next = await stack.start(role, { PROMPTMILL_FAIL_POINT: '' });
      const client = role === 'api' ? stack.client.withOptions({ baseURL: `${next.url}/v1` }) : stack.client;
      if (row.listed) await expect.poll(() => listed(client), { timeout: 15_000 }).toEqual(row.listed);
      // What was not answered, the client sends again.
      const fileAtLast = file ?? (await upload(client, input)) ?? '';
      const id = batch ?? (await create(client, fileAtLast)) ?? '';

      const ended = await untilBatch(client, id);
      expect(ended.request_counts).toEqual({ total: requests, completed: requests, failed: 0 });
      await checkBatch({ ...stack, client }, ended, input, { allowedRepeats: repeats });
      expect(await stack.calls()).toHaveLength(requests + repeats);
      expect(await listed(client)).toEqual({ files: 1, batches: 1 });
    } finally {
      await stack.stop();
    }
  });
});
