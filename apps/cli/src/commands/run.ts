import { loadConfig } from '@promptmill/runtime';
import { CliError } from '../cli-error.ts';
import type { CliContext, StopRequest } from '../context.ts';
import type { ConfirmOptions } from '../estimate/confirm-cost.ts';
import { formatUsd, plural } from '@promptmill/core/display';
import { showDryRun } from '../input/show-dry-run.ts';
import { exitCodeOf } from '../results/batch-outcome.ts';
import { countsText } from '../results/batch-summary.ts';
import { describeEnding } from '../results/describe-ending.ts';
import { addReasons, type FailureReasons } from '../results/failure-reasons.ts';
import { type EmbeddedOptions, embeddedEnv, newLogin } from '../run/embedded-env.ts';
import { findInputs, openOutputFolder } from '../run/find-inputs.ts';
import { performRun, type PerformOptions } from '../run/perform-run.ts';
import { type PlannedRun, planRuns } from '../run/plan-runs.ts';
import type { RunInputOptions } from '../run/prepare-run.ts';
import { finishedOf } from '../run/run-record.ts';
import { knownCostOf, sumRuns } from '../run/sum-runs.ts';
import { shellCommand } from '../shell-command.ts';

export interface RunOptions extends RunInputOptions, ConfirmOptions, EmbeddedOptions, PerformOptions {
  readonly completionWindow: string;
  readonly maxCost?: number;
  readonly output?: string;
  /** The words of the command line, from `run` on. */
  readonly words?: readonly string[];
  /** Shows what would be called, and calls nothing. */
  readonly dryRun?: boolean;
}

/** The same command, for what failed alone. */
const retryCommandOf = ({ words = ['run'] }: RunOptions): string =>
  shellCommand([
    'promptmill',
    ...words.filter((word) => word !== '--fresh' && word !== '--retry-failed'),
    '--retry-failed',
  ]);

type Finished = NonNullable<ReturnType<typeof finishedOf>>;

const finishedRuns = async (runs: readonly PlannedRun[]): Promise<Finished[]> => {
  const records = await Promise.all(runs.map(({ records: store }) => store.load()));
  return records.flatMap((record) => (record && finishedOf(record)) ?? []);
};

const describeDone = ({ output, record }: PlannedRun, retryCommand: string): string => {
  const { failed = 0 } = (record && finishedOf(record)) ?? {};
  return failed === 0
    ? `${output} already holds the results of this run, and none failed; --fresh runs it again`
    : `${output} already holds the results of this run (${failed} failed); --fresh runs it again, and what failed alone:\n` +
        `  ${retryCommand}`;
};

/**
 * What is left of `--max-cost` for the next file of a folder.
 *
 * @throws CliError `cost_limit` when nothing is.
 */
const moneyLeft = async (runs: readonly PlannedRun[], maxCost: number | undefined): Promise<number | undefined> => {
  if (maxCost === undefined) return undefined;
  const spent = knownCostOf(await finishedRuns(runs));
  if (spent < maxCost) return maxCost - spent;
  throw new CliError(
    'cost_limit',
    `the files so far have cost ${formatUsd(spent)} of --max-cost ${formatUsd(maxCost)}: the same command with a higher one goes on`,
  );
};

/** Runs an input, or each file of a folder, to its end in this process, or carries on where an earlier process stopped. */
export const run = async (input: string, options: RunOptions, context: CliContext): Promise<number> => {
  const { screen, now, signal } = context;
  const startedAtMs = now();
  const { quiet = false, stream, maxCost } = options;
  const say = (text: string): void => {
    if (!quiet) screen.write(`${text}\n`);
  };
  const login = newLogin();
  const env = embeddedEnv(context.env, options, login);
  const config = loadConfig(env);
  const { files, outputFolder, skipped } = await findInputs(input, options);
  if (skipped.length > 0) say(`left out of ${input}: ${skipped.join(', ')}`);
  if (options.dryRun) {
    const { lanes, limits } = config;
    const inputs = files.map((file) => file.input);
    return showDryRun({ name: input, inputs }, { options, stream, maxLineBytes: limits.maxLineBytes, lanes }, context);
  }
  await using stack = new AsyncDisposableStack();
  stack.use(await openOutputFolder(outputFolder));
  const runs = await planRuns({ files, options, config, say }, context);
  const retryCommand = retryCommandOf(options);
  const shared = { retryCommand, columns: screen.isTTY ? screen.columns : undefined };
  const isFolder = outputFolder !== undefined;
  let reasons: FailureReasons = new Map();
  let exitCode = 0;

  try {
    for (const each of runs) {
      if (each.isDone) {
        say(describeDone(each, retryCommand));
        continue;
      }
      const cap = isFolder ? await moneyLeft(runs, maxCost) : maxCost;
      const ended = await performRun({ run: each, options, maxCost: cap, env, login, say }, context);
      exitCode ||= exitCodeOf(ended.batch);
      reasons = addReasons(reasons, ended.reasons);
      const seconds = (now() - startedAtMs) / 1000;
      const results = each.output === '-' ? undefined : each.output;
      say(
        isFolder
          ? `${each.name}: ${countsText(ended.batch)}`
          : describeEnding({ ...shared, title: ended.batch.status, totals: ended.batch, reasons, seconds, results }),
      );
    }
  } catch (error) {
    if (!signal.aborted) throw error;
    say('stopped; the same command carries on from here, and pays for no recorded answer again');
    return (signal.reason as StopRequest).exitCode;
  }
  const totals = sumRuns(await finishedRuns(runs));
  if (isFolder) {
    const seconds = (now() - startedAtMs) / 1000;
    const results = outputFolder === '-' ? undefined : outputFolder;
    say(describeEnding({ ...shared, title: plural(runs.length, 'file'), totals, reasons, seconds, results }));
  }
  return exitCode || (totals.request_counts.failed > 0 ? 1 : 0);
};
