import { randomUUID } from 'node:crypto';
import { type BatchObject, isTerminal, type ServiceTier, type Strategy } from '@promptmill/core';
import type { ApiClient, NewBatch } from '../api/api-client.ts';
import { CliError } from '../cli-error.ts';
import type { RunRecord, RunRecordStore } from './run-record.ts';

export interface RunInput {
  /** The path of the converted input. */
  readonly path: string;
  /** The name that the uploaded file gets on the server. */
  readonly filename: string;
  readonly endpoint: string;
  readonly completionWindow: string;
  /** Whether answers have to match the schemas of their requests. */
  readonly checkSchema: boolean;
  /** What the run may cost at most, in USD. */
  readonly maxCost: number | undefined;
  /** Whether requests that ask the same are called once. */
  readonly dedupe: boolean | undefined;
  /** The tier that requests begin in. */
  readonly tier: ServiceTier | undefined;
  /** Whether requests go through their provider's own batch API. */
  readonly strategy: Strategy | undefined;
  /** Is told how much of the file is sent, as `45 %`. */
  readonly onSent?: (share: string) => void;
}

export interface OpenBatchOptions {
  readonly client: ApiClient;
  readonly records: RunRecordStore;
  readonly input: RunInput;
  readonly signal: AbortSignal;
}

const unlessMissing = <T>(answer: Promise<T>): Promise<T | undefined> =>
  answer.catch((error: unknown) => {
    if (error instanceof CliError && error.code === 'http_404') return undefined;
    throw error;
  });

/** The batch with the `max_cost` that a run asks for now, if it asks for one. A batch that has reached its own goes on. */
export const withMaxCost = async (
  client: ApiClient,
  batch: BatchObject,
  maxCost: number | undefined,
): Promise<BatchObject> => {
  const isChanged = maxCost !== undefined && maxCost !== batch.promptmill.max_cost && !isTerminal(batch.status);
  return isChanged ? client.resumeBatch(batch.id, maxCost) : batch;
};

/**
 * Returns a run's batch: the one that an earlier process created, or a new one. The record holds the idempotency key
 * before the file or the batch is created, so a kill at any point leads to no second file or batch.
 */
export const openBatch = async ({ client, records, input, signal }: OpenBatchOptions): Promise<BatchObject> => {
  let record: RunRecord = (await records.load()) ?? { key: randomUUID() };
  const known = record.batchId === undefined ? undefined : await unlessMissing(client.getBatch(record.batchId));
  if (known) return withMaxCost(client, known, input.maxCost);

  let file = record.fileId === undefined ? undefined : await unlessMissing(client.getFile(record.fileId));
  if (!file) {
    await records.save(record);
    file = await client.uploadFile({ ...input, idempotencyKey: record.key, signal });
    record = { ...record, fileId: file.id };
    await records.save(record);
  }
  const batch: NewBatch = {
    input_file_id: file.id,
    endpoint: input.endpoint,
    completion_window: input.completionWindow,
    promptmill: {
      check_schema: input.checkSchema,
      max_cost: input.maxCost,
      dedupe: input.dedupe,
      tier: input.tier,
      strategy: input.strategy,
    },
  };
  const created = await client.createBatch(batch, record.key);
  await records.save({ ...record, batchId: created.id });
  return created;
};
