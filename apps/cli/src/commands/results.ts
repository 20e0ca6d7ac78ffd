import { once } from 'node:events';
import { setTimeout as delay } from 'node:timers/promises';
import { answerSchemaOf, type BatchObject, isTerminal, readCheckedLine } from '@promptmill/core';
import type { ApiClient } from '../api/api-client.ts';
import { assertNotRefused, exitCodeOf } from '../results/batch-outcome.ts';
import { countsText } from '../results/batch-summary.ts';
import { CliError } from '../cli-error.ts';
import { connectToServer } from '../api/connect-to-server.ts';
import type { CliContext } from '../context.ts';
import { nextStepOf } from '../results/next-step.ts';
import { createProgress } from '../progress/progress.ts';
import { answerColumnsOf } from '../output/answer-columns.ts';
import { hasColumns, outputFormatOf } from '../output/output-format.ts';
import { type AnswerTable, wholeAnswers } from '../output/result-table.ts';
import { onlyIds } from '../output/write-results.ts';
import { mergeResults } from '../results/merge-results.ts';
import { publishResults } from '../results/publish-results.ts';
import { resultSources } from '../results/result-sources.ts';
import { assertWritable, outputOf } from '../results/output-place.ts';
import { watchBatch } from '../progress/watch-batch.ts';

export interface ResultsOptions {
  readonly output?: string;
  readonly follow?: boolean;
  /** Prints the answers alone. */
  readonly answers?: boolean;
}

const pageSize = 1000;
const pollMs = 1000;

/** Writes the results collected so far, in the order they come. With `follow` it goes on until the batch is terminal. */
const streamResults = async (
  client: ApiClient,
  { batchId, follow }: { readonly batchId: string; readonly follow: boolean },
  { stdout, signal }: CliContext,
): Promise<BatchObject> => {
  let after: string | undefined;
  for (;;) {
    // The status is read first: when it is terminal, the pages read after it hold the last results.
    const batch = await client.getBatch(batchId);
    let more = true;
    while (more) {
      const { data, next, has_more: hasMore } = await client.listResults(batchId, { after, limit: pageSize });
      for (const result of data) if (!stdout.write(`${JSON.stringify(result)}\n`)) await once(stdout, 'drain');
      after = next;
      more = hasMore;
    }
    if (!follow || isTerminal(batch.status)) return batch;
    await delay(pollMs, undefined, { signal });
  }
};

/**
 * The columns of a batch whose answers match schemas: the properties of its first request's. Other requests may have other
 * schemas, so the whole answer stays beside them.
 */
const answersOf = async (client: ApiClient, batch: BatchObject, signal: AbortSignal): Promise<AnswerTable> => {
  if (!batch.promptmill.check_schema) return wholeAnswers;
  for await (const line of client.fileLines(batch.input_file_id, signal)) {
    const first = readCheckedLine(line);
    return { columns: answerColumnsOf(first && answerSchemaOf(first.url, first.body)), whole: true };
  }
  return wholeAnswers;
};

/** Prints a batch's results: in input order once it has ended, until then in the order they come. */
export const showResults = async (
  batchId: string,
  { output: wanted, follow = false, answers = false }: ResultsOptions,
  context: CliContext,
): Promise<number> => {
  const { stdout, screen, now, signal } = context;
  const client = connectToServer(context);
  const output = outputOf('-', wanted);
  const format = answers ? 'text' : outputFormatOf(output);
  await assertWritable(output);
  let batch = await client.getBatch(batchId);

  if (!isTerminal(batch.status) && output === '-' && !answers) {
    batch = await streamResults(client, { batchId, follow }, context);
    if (!isTerminal(batch.status)) screen.write(`so far: ${countsText(batch)}; --follow waits for the rest\n`);
    return isTerminal(batch.status) ? exitCodeOf(batch) : 0;
  }
  if (!isTerminal(batch.status)) {
    if (!follow)
      throw new CliError(
        'batch_running',
        `the batch is ${batch.status} (${countsText(batch)}): add --follow to wait for it`,
      );
    const progress = createProgress({ screen, now, nextStep: nextStepOf });
    batch = await watchBatch(client, batchId, { onProgress: progress.update, signal }).finally(progress.end);
  }
  assertNotRefused(batch, 'line');
  try {
    await publishResults(mergeResults(resultSources(client, [batch], signal)), {
      target: output === '-' ? stdout : output,
      format,
      rows: hasColumns(format) ? { ...onlyIds, answers: await answersOf(client, batch, signal) } : onlyIds,
    });
  } catch (error) {
    if (!(error instanceof CliError && error.code === 'http_404')) throw error;
    throw new CliError(
      'results_gone',
      'files of this batch were deleted or have expired, and its results with them: promptmill submit its input again',
      { cause: error },
    );
  }
  if (output !== '-') screen.write(`${countsText(batch)}: ${output}\n`);
  return exitCodeOf(batch);
};
