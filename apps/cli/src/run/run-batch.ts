import { type BatchObject, costLimitName, isTerminal } from '@promptmill/core';
import type { ApiClient } from '../api/api-client.ts';
import { assertNotRefused } from '../results/batch-outcome.ts';
import { countsText } from '../results/batch-summary.ts';
import { CliError } from '../cli-error.ts';
import type { CliContext } from '../context.ts';
import { plural } from '../format.ts';
import { printableLine } from '../terminal.ts';
import { createDeltaPrinter } from '../progress/delta-printer.ts';
import { openBatch, type RunInput } from './open-batch.ts';
import { createProgress } from '../progress/progress.ts';
import type { OutputFormat } from '../output/output-format.ts';
import type { InputRows } from '../output/write-results.ts';
import { type FailureReasons, publishResults } from '../results/publish-results.ts';
import { outputVersion } from '../results/output-place.ts';
import { resultSources } from '../results/result-sources.ts';
import type { RunRecordStore } from './run-record.ts';
import { watchBatch } from '../progress/watch-batch.ts';

export interface RunBatchOptions {
  readonly client: ApiClient;
  readonly records: RunRecordStore;
  readonly input: RunInput;
  /** An absolute path, or `-` for standard output. */
  readonly output: string;
  readonly outputFormat: OutputFormat;
  /** What the input says of each request, when the output shows it. */
  readonly rows: InputRows | undefined;
  readonly say: (text: string) => void;
  readonly quiet: boolean;
  /** Shows the answers as they come, instead of the progress. */
  readonly stream: boolean;
}

/** Nobody but the one who started a run can raise its `max_cost`. @throws CliError `cost_limit` when that is reached. */
const assertMoneyLeft = ({ promptmill, request_counts: counts }: BatchObject): void => {
  const [held] = promptmill.waiting_for;
  // A tenant's limit is open again by itself.
  if (held?.lane !== costLimitName || held.held_until !== null) return;
  const left = counts.total - counts.completed - counts.failed;
  throw new CliError(
    'cost_limit',
    `${printableLine(held.reason)} ${plural(left, 'request')} left: the same command with a higher --max-cost goes on`,
  );
};

/**
 * Brings a run to its end as any client of the api would: it creates or finds the batch, watches it and publishes its
 * results.
 *
 * @throws CliError `batch_failed` when the input was refused; the record is removed then, so that the run can start over.
 */
export const runBatch = async (
  { client, records, input, output, outputFormat, rows, say, quiet, stream }: RunBatchOptions,
  { screen, now, stdout, signal }: CliContext,
): Promise<{ readonly batch: BatchObject; readonly reasons: FailureReasons }> => {
  const opened = await openBatch({ client, records, input, signal });
  if (isTerminal(opened.status)) say('every request of this run has its result already');
  else if (opened.request_counts.total > 0) say(`carrying on: ${countsText(opened)}`);
  const progress = quiet || stream ? undefined : createProgress({ screen, now });
  const printer = stream ? createDeltaPrinter({ write: (text) => screen.write(text), now }) : undefined;
  const batch = await watchBatch(client, opened.id, {
    onProgress(state) {
      progress?.update(state);
      assertMoneyLeft(state);
    },
    onDelta: printer && ((delta) => printer.add(delta)),
    signal,
  }).finally(() => {
    progress?.end();
    printer?.end();
  });
  if (batch.status === 'failed') await records.remove();
  assertNotRefused(batch, input.filename);

  const reasons = await publishResults(resultSources(client, batch, signal), {
    target: output === '-' ? stdout : output,
    format: outputFormat,
    ...(rows === undefined ? {} : { rows }),
  });
  const { completed, failed } = batch.request_counts;
  const record = await records.load();
  const version = await outputVersion(output);
  const published = version === undefined ? {} : { output: version };
  if (record) await records.save({ ...record, finished: { completed, failed, ...published } });
  return { batch, reasons };
};
