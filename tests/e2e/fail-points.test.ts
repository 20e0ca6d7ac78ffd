import { type Simulator, startSimulator } from '@promptmill/simulator';
import { type OpenAI, toFile } from 'openai';
import { afterAll, beforeAll, describe, inject, it } from 'vitest';
import { checkBatch, inputOf, untilBatch } from '../support/batches.ts';
import { repeatedInput } from '../support/repeated-input.ts';
import { inLongForm } from '../support/long-form.ts';
import { type RoleProcess, type Stack, startStack } from '../support/stack.ts';
import { type Receiver, startReceiver } from '../support/webhook-receiver.ts';

interface Row {
  /** A value of PROMPTMILL_FAIL_POINT. */
  readonly point: string;
  /** What the next process lists of this row's work, before the client repeats its call. */
  readonly listed?: { readonly files: number; readonly batches: number };
  /** How many calls the death repeats. Default: 0. */
  readonly repeats?: number;
  readonly model?: string;
  /** Whether the input is uploaded in parts. */
  readonly inParts?: boolean;
  /** Whether two in five requests repeat others and get copies. */
  readonly hasRepeats?: boolean;
  /** Whether only `npm run test:long` has it: the short form has a point beside it, or a test without processes. */
  readonly isLong?: true;
}

/** The fail points of each role whose process dies. */
const matrix: Readonly<Record<'api' | 'worker' | 'collector', readonly Row[]>> = {
  api: [
    { point: 'input-stored', listed: { files: 0, batches: 0 } },
    { point: 'input-stored', inParts: true, listed: { files: 0, batches: 0 }, isLong: true },
    { point: 'parts-joined', inParts: true, listed: { files: 1, batches: 0 }, isLong: true },
    { point: 'batch-recorded', listed: { files: 1, batches: 0 }, isLong: true },
    { point: 'batch-queued', listed: { files: 1, batches: 1 } },
    { point: 'jobs-added', isLong: true },
    { point: 'cursor-moved', isLong: true },
    { point: 'repeats-found', hasRepeats: true, isLong: true },
    { point: 'cursor-moved:2', hasRepeats: true, isLong: true },
    { point: 'copies-written', hasRepeats: true, isLong: true },
    { point: 'copies-committed', hasRepeats: true, isLong: true },
    { point: 'event-noted', isLong: true },
    { point: 'event-queued', isLong: true },
    { point: 'event-sent', isLong: true },
  ],
  worker: [
    { point: 'answered:5', repeats: 1 },
    { point: 'recorded:5', isLong: true },
    { point: 'fallback-added', model: 'refusing/echo', isLong: true },
  ],
  collector: [
    { point: 'segment-written' },
    { point: 'segment-committed', isLong: true },
    { point: 'files-published', isLong: true },
    { point: 'finished', isLong: true },
  ],
};

/** More requests than fit into the first chunk of dispatch. */
const requests = 120;

/** Returns undefined when the api died before it answered. */
const upload = async (client: OpenAI, input: string, idempotencyKey: string): Promise<string | undefined> => {
  const file = await toFile(Buffer.from(input), 'input.jsonl');
  const created = await client.files
    .create({ file, purpose: 'batch' }, { headers: { 'Idempotency-Key': idempotencyKey } })
    .catch(() => undefined);
  return created?.id;
};

/** Uploads all but the last step, and returns that: it makes the file, however often it is done. */
const uploadParts = async (client: OpenAI, input: string) => {
  const upload = await client.uploads.create({
    bytes: Buffer.byteLength(input),
    filename: 'input.jsonl',
    mime_type: 'application/jsonl',
    purpose: 'batch',
  });
  const part_ids: string[] = [];
  for (const content of [input.slice(0, 1000), input.slice(1000)]) {
    const data = await toFile(Buffer.from(content), 'part');
    part_ids.push((await client.uploads.parts.create(upload.id, { data })).id);
  }
  return async (client: OpenAI): Promise<string | undefined> => {
    const completed = await client.uploads.complete(upload.id, { part_ids }).catch(() => undefined);
    return completed?.file?.id;
  };
};

const create = async (
  client: OpenAI,
  fileId: string,
  idempotencyKey: string,
  { dedupe, webhookUrl }: { readonly dedupe: boolean; readonly webhookUrl: string },
): Promise<string | undefined> => {
  const terms = { input_file_id: fileId, endpoint: '/v1/chat/completions', completion_window: '24h' } as const;
  const body = { ...terms, promptmill: { dedupe, webhook_url: webhookUrl } };
  const created = await client.batches
    .create(body, { headers: { 'Idempotency-Key': idempotencyKey } })
    .catch(() => undefined);
  return created?.id;
};

/** The `webhook-id` of each message about a batch that a receiver got. */
const toldOf = ({ received }: Receiver, batchId: string): string[] =>
  received
    .filter(({ body }) => (JSON.parse(body) as { data: { id: string } }).data.id === batchId)
    .map(({ headers }) => String(headers['webhook-id']));

const listed = async (client: OpenAI): Promise<{ files: number; batches: number }> => {
  const [files, batches] = await Promise.all([client.files.list({ purpose: 'batch' }), client.batches.list()]);
  return { files: files.data.length, batches: batches.data.length };
};

for (const [role, rows] of Object.entries(matrix) as [keyof typeof matrix, readonly Row[]][])
  describe.concurrent(`where one ${role} dies and the next takes over`, () => {
    let refusing: Simulator;
    let receiver: Receiver;
    let stack: Stack;
    /** The only process of its role. */
    let running: RoleProcess;

    beforeAll(async () => {
      refusing = await startSimulator({ errorRate: 1, errorStatus: 401 });
      receiver = await startReceiver();
      stack = await startStack({
        redisUrl: inject('redisUrl'),
        // One call at a time, so that the number of repeated calls is exact.
        env: { WORKER_CONCURRENCY: '1', PROMPTMILL_ALLOW_PRIVATE_WEBHOOKS: 'true' },
        files: {
          'promptmill.yaml': `providers: { refusing: { baseUrl: ${refusing.url}, models: { echo: { fallback: [simulator/echo] } } } }`,
        },
      });
      const [worker = stack.api] = stack.workers;
      const [collector = stack.api] = stack.collectors;
      running = { api: stack.api, worker, collector }[role];
    });
    afterAll(async () => {
      await stack.stop();
      await Promise.all([refusing.close(), receiver.close()]);
    });

    const restart = async (failPoint: string): Promise<OpenAI> => {
      await running.stop();
      running = await stack.start(role, { PROMPTMILL_FAIL_POINT: failPoint });
      return role === 'api' ? stack.client.withOptions({ baseURL: `${running.url}/v1` }) : stack.client;
    };

    it.for(rows.filter(({ isLong }) => !isLong || inLongForm))(
      'at $point: nothing is lost',
      { concurrent: false },
      async (row, { expect }) => {
        const { point, listed: expected, repeats = 0, model, inParts = false, hasRepeats = false } = row;
        const key = `${point} ${inParts} ${hasRepeats}`;
        const doomed = await restart(point);
        const before = await listed(doomed);
        const since = (more: { files: number; batches: number }) => ({
          files: before.files + more.files,
          batches: before.batches + more.batches,
        });
        const repeated = repeatedInput(requests);
        const input = hasRepeats ? repeated.content : inputOf(requests, undefined, model);
        const uploadFile = inParts ? await uploadParts(doomed, input) : (client: OpenAI) => upload(client, input, key);
        const file = await uploadFile(doomed);
        const terms = { dedupe: hasRepeats, webhookUrl: receiver.url };
        const batch = file && (await create(doomed, file, key, terms));
        await expect.poll(() => running.child.signalCode, { timeout: 30_000 }).toBe('SIGKILL');

        const client = await restart('');
        if (expected) await expect.poll(() => listed(client), { timeout: 15_000 }).toEqual(since(expected));
        // The client repeats a call that got no answer.
        const fileAtLast = file ?? (await uploadFile(client)) ?? '';
        const id = batch ?? (await create(client, fileAtLast, key, terms)) ?? '';

        const ended = await untilBatch(client, id);
        expect(ended.request_counts).toEqual({ total: requests, completed: requests, failed: 0 });
        await checkBatch({ ...stack, client }, ended, input, { allowedRepeats: repeats });
        const calls = (await stack.calls()).filter(({ key }) => key?.startsWith(id));
        expect(calls).toHaveLength((hasRepeats ? repeated.questions : requests) + repeats);
        expect(await listed(client)).toEqual(since({ files: 1, batches: 1 }));
        await expect.poll(() => toldOf(receiver, id).length, { timeout: 30_000 }).toBeGreaterThan(0);
        if (point === 'event-sent') await expect.poll(() => toldOf(receiver, id), { timeout: 30_000 }).toHaveLength(2);
        expect(new Set(toldOf(receiver, id)).size).toBe(1);
      },
    );
  });
