import { type BatchObject, costLimitName, isTerminal } from '@promptmill/core';
import type { ApiClient } from '../api/api-client.ts';
import { CliError } from '../cli-error.ts';
import { assertNotRefused, describeBatchErrors } from '../results/batch-outcome.ts';
import { countsText } from '../results/batch-summary.ts';
import type { CliContext } from '../context.ts';
import { plural } from '@promptmill/core/display';
import { printableLine } from '../terminal.ts';
import { createDeltaPrinter } from '../progress/delta-printer.ts';
import type { RunInput } from './open-batch.ts';
import { openBatches, type RunBatches } from './open-batches.ts';
import { createProgress } from '../progress/progress.ts';
import { createStepProgress, shareText } from '../progress/step-progress.ts';
import type { OutputFormat } from '../output/output-format.ts';
import type { InputRows } from '../output/write-results.ts';
import type { FailureReasons } from '../results/failure-reasons.ts';
import { type MergedResult, mergeResults } from '../results/merge-results.ts';
import { publishResults } from '../results/publish-results.ts';
import { outputVersion } from '../results/output-place.ts';
import { providerStepOf } from '../results/next-step.ts';
import { resultsSoFar } from '../results/results-so-far.ts';
import { resultSources } from '../results/result-sources.ts';
import type { RunRecordStore } from './run-record.ts';
import { sumBatches } from './sum-batches.ts';
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
  /** Run again what failed, when the run has ended. */
  readonly retryFailed: boolean;
}

/** Why a batch that has reached its `max_cost` stands still: nobody but the one who started the run can raise that. */
const costReasonOf = ({ promptmill }: BatchObject): string | undefined => {
  const [held] = promptmill.waiting_for;
  // A tenant's limit is open again by itself.
  return held?.lane === costLimitName && held.held_until === null ? printableLine(held.reason) : undefined;
};

const costError = ({ request_counts: counts }: BatchObject, reason: string, output: string): CliError => {
  const left = counts.total - counts.completed - counts.failed;
  return new CliError(
    'cost_limit',
    `${reason} ${plural(left, 'request')} left. ${output === '-' ? 'Standard output' : output} has the results so far, and ` +
      `in the place of the others the error ${costLimitName}; the same command with a higher --max-cost goes on`,
  );
};

const describeStart = (batches: RunBatches, last: BatchObject): string | undefined => {
  if (isTerminal(last.status)) return 'every request of this run has its result already';
  const failed = batches.at(-2)?.request_counts.failed;
  const again = failed === undefined ? '' : `running ${plural(failed, 'failed request')} again`;
  const begun = last.request_counts.total > 0 ? `carrying on: ${countsText(last)}` : '';
  return [again, begun].filter((text) => text !== '').join('; ') || undefined;
};

const asPublished = <T extends object>(retry: T) => ({ ...retry, published: true });

/** Forgets what was refused: the retry alone, so that the results of the run stay, or the run, so that it can start over. */
const forgetRefused = async (records: RunRecordStore, batches: RunBatches): Promise<void> => {
  const record = await records.load();
  if (record?.retries && batches.length > 1) await records.save({ ...record, retries: record.retries.slice(0, -1) });
  else await records.remove();
};

/**
 * Brings a run to its end as any client of the api would: it creates or finds the batch, watches it and publishes its
 * results.
 *
 * @returns the run as one batch, and why requests of it failed.
 * @throws CliError `cost_limit` when the run has reached its `max_cost`; what it has by then is published. `batch_failed` when the input was refused; the record is removed then, so that the run can start over.
 *   `retry_refused` when the failed requests are refused now; the run stays as it was.
 */
export const runBatch = async (
  { client, records, input, output, outputFormat, rows, say, quiet, stream, retryFailed }: RunBatchOptions,
  { screen, now, stdout, signal }: CliContext,
): Promise<{ readonly batch: BatchObject; readonly reasons: FailureReasons }> => {
  const steps = quiet ? undefined : createStepProgress({ screen, now });
  const opened = await openBatches({
    client,
    records,
    input: { ...input, onSent: (share) => steps?.show(`sending the input: ${share}`) },
    signal,
    retryFailed,
  }).finally(() => steps?.end());
  const [first, ...earlier] = opened;
  const newest = earlier.pop() ?? first;
  const start = describeStart(opened, newest);
  if (start !== undefined) say(start);
  const progress = quiet || stream ? undefined : createProgress({ screen, now, nextStep: providerStepOf });
  const printer = stream ? createDeltaPrinter({ write: (text) => screen.write(text), now }) : undefined;
  const publish = (results: AsyncIterable<MergedResult>): Promise<FailureReasons> => {
    const { total } = first.request_counts;
    const writing = quiet || output === '-' ? undefined : createStepProgress({ screen, now });
    return publishResults(results, {
      target: output === '-' ? stdout : output,
      format: outputFormat,
      ...(rows === undefined ? {} : { rows }),
      onWritten: (written) => writing?.show(`writing the results: ${shareText(written, total)}`),
    }).finally(() => writing?.end());
  };
  const publishSoFar = async (batch: BatchObject): Promise<void> => {
    const missing = { code: costLimitName, message: 'This request did not run: the run has reached its --max-cost.' };
    const soFar = resultsSoFar({ client, batch, scratchPath: `${input.path}.so-far`, missing, signal });
    const [ended, ...more] = newest === first ? [] : [first, ...earlier];
    await publish(ended ? mergeResults(resultSources(client, [ended, ...more], signal, soFar)) : soFar);
  };
  /** The batch once it has reached its `max_cost`. */
  const held: { batch?: BatchObject } = {};
  const last = await watchBatch(client, newest.id, {
    onProgress(state) {
      progress?.update(state);
      const reason = costReasonOf(state);
      if (reason === undefined) return;
      held.batch = state;
      throw costError(state, reason, output);
    },
    onDelta: printer && ((delta) => printer.add(delta)),
    signal,
  })
    .finally(() => {
      progress?.end();
      printer?.end();
    })
    .catch(async (error: unknown) => {
      if (held.batch) await publishSoFar(held.batch);
      throw error;
    });
  if (last.status === 'failed') {
    await forgetRefused(records, opened);
    if (opened.length > 1) throw new CliError('retry_refused', describeBatchErrors(last, 'failed request'));
  }
  assertNotRefused(last, input.filename);

  const batches: RunBatches = newest === first ? [last] : [first, ...earlier, last];
  const batch = sumBatches(batches);
  const reasons = await publish(mergeResults(resultSources(client, batches, signal)));
  const { completed, failed } = batch.request_counts;
  const record = await records.load();
  const version = await outputVersion(output);
  if (record)
    await records.save({
      ...record,
      finished: {
        completed,
        failed,
        ...(version === undefined ? {} : { output: version }),
        totals: {
          inputTokens: batch.usage.input_tokens,
          outputTokens: batch.usage.output_tokens,
          spent: batch.promptmill.cost.spent,
          wasted: batch.promptmill.cost.wasted,
          copied: batch.promptmill.copied,
          saved: batch.promptmill.cost.saved_by_cache,
        },
      },
      ...(record.retries ? { retries: record.retries.map(asPublished) } : {}),
    });
  return { batch, reasons };
};
