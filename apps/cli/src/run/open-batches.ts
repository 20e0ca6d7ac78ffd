import { randomUUID } from 'node:crypto';
import type { BatchObject } from '@promptmill/core';
import { CliError } from '../cli-error.ts';
import { openBatch, type OpenBatchOptions, withMaxCost } from './open-batch.ts';
import { finishedOf } from './run-record.ts';

export interface OpenBatchesOptions extends OpenBatchOptions {
  /** Run again what failed, when the run has ended. */
  readonly retryFailed: boolean;
}

/** The batch of a run, then those that ran again what failed in the one before. All but the last have ended. */
export type RunBatches = readonly [BatchObject, ...BatchObject[]];

const codesOfGone = new Set(['http_404', 'file_not_found']);

const unlessGone = <T>(answer: Promise<T>): Promise<T> =>
  answer.catch((error: unknown) => {
    if (!(error instanceof CliError) || !codesOfGone.has(error.code)) throw error;
    throw new CliError(
      'run_gone',
      'this run has ended, and what its failed requests asked is no longer kept; the same command with --fresh instead of ' +
        '--retry-failed runs all of it again',
      { cause: error },
    );
  });

/** The batch of a retry. The record holds its idempotency key before it is created, so a kill leads to no second one. */
const openRetry = async (
  { client, records, input: { maxCost } }: OpenBatchOptions,
  index: number,
  previous: BatchObject,
): Promise<BatchObject> => {
  const record = await records.load();
  const retry = record?.retries?.[index];
  if (!retry) throw new Error('the record has no such retry');
  if (retry.batchId !== undefined) {
    const known = await unlessGone(client.getBatch(retry.batchId));
    return withMaxCost(client, known, maxCost);
  }
  const choice = maxCost === undefined ? {} : { promptmill: { max_cost: maxCost } };
  const created = await unlessGone(client.retryBatch(previous.id, choice, retry.key));
  await records.save({ ...record, retries: record.retries?.with(index, { ...retry, batchId: created.id }) ?? [] });
  return created;
};

/**
 * Opens the batch of a run, and those of its retries; the last may be a new one.
 *
 * @throws CliError `run_gone` when the server no longer has what failed.
 */
export const openBatches = async ({ retryFailed, ...options }: OpenBatchesOptions): Promise<RunBatches> => {
  const { client, records } = options;
  let record = await records.load();
  if (record && retryFailed && (finishedOf(record)?.failed ?? 0) > 0) {
    record = { ...record, retries: [...(record.retries ?? []), { key: randomUUID(), published: false }] };
    await records.save(record);
  }
  const retries = record?.retries ?? [];
  if (record?.batchId === undefined || retries.length === 0) return [await openBatch(options)];
  const first = await unlessGone(client.getBatch(record.batchId));
  const later: BatchObject[] = [];
  for (const index of retries.keys()) later.push(await openRetry(options, index, later.at(-1) ?? first));
  return [first, ...later];
};
