import { setTimeout as delay } from 'node:timers/promises';
import OpenAI, { APIConnectionError, APIError, toFile } from 'openai';
import { inputOfSubmission, type PlannedSubmission } from './plan-workload.ts';

/** A submission that was acknowledged. */
export interface Submitted {
  readonly plan: PlannedSubmission;
  readonly batchId: string;
  /** A cancellation of it was acknowledged too. */
  cancelled: boolean;
}

export interface SubmitBatchesOptions {
  readonly apiUrls: readonly string[];
  readonly startedAtMs: number;
  /** No call is tried again after this time, in epoch milliseconds. */
  readonly giveUpAtMs: number;
  readonly onSubmitted: (batchId: string) => void;
}

const answerTimeoutMs = 5000;
const retryAfterMs = 250;

/** Whether an error is temporary, such as one of an api that is away. */
const isTemporary = (error: unknown): boolean =>
  error instanceof APIConnectionError ||
  (error instanceof APIError && (error.status === undefined || error.status >= 500 || error.status === 429));

const isConflict = (error: unknown): boolean => error instanceof APIError && error.status === 409;

export const createClients = (apiUrls: readonly string[]): OpenAI[] =>
  apiUrls.map((url) => new OpenAI({ baseURL: `${url}/v1`, apiKey: 'none', maxRetries: 0, timeout: answerTimeoutMs }));

/**
 * Submits a workload as its owner would: sends each batch under a key of its own to one api after the other until one
 * acknowledges it, and cancels, pauses and resumes some.
 */
export const submitBatches = async (
  plan: readonly PlannedSubmission[],
  { apiUrls, startedAtMs, giveUpAtMs, onSubmitted }: SubmitBatchesOptions,
): Promise<{ submitted: Submitted[]; problems: string[] }> => {
  const clients = createClients(apiUrls);
  const submitted: Submitted[] = [];
  const problems: string[] = [];

  const untilAnswered = async <T>(firstApi: number, ask: (client: OpenAI) => Promise<T>): Promise<T> => {
    for (let api = firstApi; ; api++)
      try {
        return await ask(clients[api % clients.length]!);
      } catch (error) {
        if (!isTemporary(error) || Date.now() > giveUpAtMs) throw error;
        await delay(retryAfterMs);
      }
  };

  const submit = async (planned: PlannedSubmission): Promise<Submitted> => {
    const { key, api } = planned;
    const file = await toFile(Buffer.from(inputOfSubmission(planned)), `${key}.jsonl`);
    const headers = (name: string) => ({ headers: { 'Idempotency-Key': name } });
    const { id: inputFileId } = await untilAnswered(api, (client) =>
      client.files.create({ file, purpose: 'batch' }, headers(`${key}-file`)),
    );
    const body = { input_file_id: inputFileId, endpoint: '/v1/chat/completions', completion_window: '24h' } as const;
    const batch = await untilAnswered(api, (client) =>
      client.batches.create({ ...body, metadata: { key } }, headers(key)),
    );
    return { plan: planned, batchId: batch.id, cancelled: false };
  };

  const interfere = async (batch: Submitted): Promise<void> => {
    const { interference, api } = batch.plan;
    /** False when the batch had ended before. */
    const ask = async (verb: 'cancel' | 'pause' | 'resume'): Promise<boolean> => {
      try {
        await untilAnswered(api, (client) => client.post(`/batches/${batch.batchId}/${verb}`));
        return true;
      } catch (error) {
        if (isConflict(error)) return false;
        throw error;
      }
    };
    if (interference.kind === 'none') return;
    await delay(interference.afterMs);
    if (interference.kind === 'cancel') batch.cancelled = await ask('cancel');
    else if (await ask('pause')) {
      await delay(interference.forMs);
      await ask('resume');
    }
  };

  await Promise.all(
    plan.map(async (planned) => {
      await delay(Math.max(0, startedAtMs + planned.atMs - Date.now()));
      try {
        const batch = await submit(planned);
        submitted.push(batch);
        onSubmitted(batch.batchId);
        await interfere(batch);
      } catch (error) {
        problems.push(`P4: ${planned.key}: ${String(error)}`);
      }
    }),
  );
  return { submitted, problems };
};
