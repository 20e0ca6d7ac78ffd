import type { Config } from '@promptmill/runtime';
import { CliError } from '../cli-error.ts';
import type { CliContext } from '../context.ts';
import { confirmCost, type ConfirmOptions } from '../estimate/confirm-cost.ts';
import { estimateInput, sumInputEstimates } from '../estimate/estimate-input.ts';
import { nameOfInput } from '../input/open-input.ts';
import { outputVersion } from '../results/output-place.ts';
import type { RunFile } from './find-inputs.ts';
import { type PreparedRun, prepareRun, type RunInputOptions } from './prepare-run.ts';
import { createRunRecordStore, finishedOf, type RunRecord, type RunRecordStore } from './run-record.ts';

/** A run whose input is checked, and how far it has come. */
export interface PlannedRun extends PreparedRun {
  /** What messages call the input. */
  readonly name: string;
  readonly records: RunRecordStore;
  /** Undefined when it has not begun, or is to begin afresh. */
  readonly record: RunRecord | undefined;
  /** Whether its output holds all results already, and nothing is to be done. */
  readonly isDone: boolean;
  /** Whether something is where its results will be. */
  readonly outputExists: boolean;
}

export interface PlanRunsOptions {
  readonly files: readonly RunFile[];
  readonly options: RunInputOptions &
    ConfirmOptions & {
      readonly fresh?: boolean;
      readonly retryFailed?: boolean;
    };
  readonly config: Config;
  readonly say: (text: string) => void;
}

const planRun = async (prepared: PreparedRun, { fresh, retryFailed }: PlanRunsOptions['options']) => {
  const { folder, input, output } = prepared;
  const records = createRunRecordStore(folder);
  const record = fresh ? undefined : await records.load();
  const name = nameOfInput(input);
  if (retryFailed && record === undefined)
    throw new CliError(
      'no_such_run',
      `${name} has not run with these options and this output: leave --retry-failed out`,
    );
  const finished = record && finishedOf(record);
  const wantsRetry = retryFailed === true && finished !== undefined && finished.failed > 0;
  const present = await outputVersion(output);
  const isDone = finished !== undefined && !wantsRetry && present !== undefined && present === finished.output;
  return { ...prepared, name, records, record, isDone, outputExists: present !== undefined };
};

/** Asks before runs that have not begun may cost more than is wanted. Those that have begun were confirmed then. */
const confirmRuns = async (
  runs: readonly PlannedRun[],
  { options, config, say }: PlanRunsOptions,
  context: CliContext,
): Promise<void> => {
  const begins = runs.filter(({ record }) => record === undefined);
  if (begins.length === 0) return;
  const { lanes, limits } = config;
  const estimate = async () => {
    const estimates = [];
    for (const { inputPath: path, prepared } of begins)
      estimates.push(
        await estimateInput({
          path,
          requests: prepared.requests,
          lanes,
          tier: options.tier,
          maxLineBytes: limits.maxLineBytes,
          signal: context.signal,
        }),
      );
    return sumInputEstimates(estimates);
  };
  const requests = begins.reduce((sum, { prepared }) => sum + prepared.requests, 0);
  await confirmCost({ requests, estimate, options, say }, context);
};

/**
 * Checks all inputs of a run before any of them is paid for, finds out what is left to do, and asks whether it may cost that
 * much.
 *
 * @throws CliError; it leaves nothing behind then.
 */
export const planRuns = async (plan: PlanRunsOptions, context: CliContext): Promise<readonly PlannedRun[]> => {
  const { files, options, config } = plan;
  const prepared: PreparedRun[] = [];
  try {
    const runs: PlannedRun[] = [];
    for (const file of files) prepared.push(await prepareRun({ ...file, options, config }, context));
    for (const each of prepared) runs.push(await planRun(each, options));
    await confirmRuns(runs, plan, context);
    return runs;
  } catch (error) {
    for (const { folder } of prepared) await createRunRecordStore(folder).removeUnstarted();
    throw error;
  }
};
