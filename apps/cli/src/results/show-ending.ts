import type { BatchObject } from '@promptmill/core';
import type { ApiClient } from '../api/api-client.ts';
import { CliError } from '../cli-error.ts';
import type { CliContext } from '../context.ts';
import { batchSummary, secondsOf } from './batch-summary.ts';
import { describeEnding } from './describe-ending.ts';
import { createReasonCounter, type FailureReasons } from './failure-reasons.ts';

/** Why requests of a batch failed. None is known of a batch whose error file has been removed. */
const readReasons = async (
  client: ApiClient,
  { error_file_id: id }: BatchObject,
  signal: AbortSignal,
): Promise<FailureReasons> => {
  const counter = createReasonCounter();
  if (id === null) return counter.reasons;
  try {
    for await (const line of client.fileLines(id, signal)) counter.add(line);
  } catch (error) {
    if (!(error instanceof CliError && error.code === 'http_404')) throw error;
  }
  return counter.reasons;
};

/** Shows what a server's batch came to, once it has ended, and the commands that get its results or retry what failed. */
export const showEnding = async (
  client: ApiClient,
  batch: BatchObject,
  { screen, signal }: Pick<CliContext, 'screen' | 'signal'>,
): Promise<void> => {
  // No request of a refused batch ran: its summary says what is wrong with its input.
  const text =
    batch.status === 'failed'
      ? batchSummary(batch)
      : describeEnding({
          title: batch.status,
          totals: batch,
          reasons: await readReasons(client, batch, signal),
          seconds: secondsOf(batch),
          results: `promptmill results ${batch.id} -o results.jsonl`,
          retryCommand: `promptmill retry ${batch.id}`,
          columns: screen.isTTY ? screen.columns : undefined,
        });
  screen.write(`${text}\n`);
};
