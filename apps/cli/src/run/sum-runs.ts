import type { BatchTotals } from '../results/batch-summary.ts';
import type { RunRecord } from './run-record.ts';

type Finished = NonNullable<RunRecord['finished']>;

const sumOf = (runs: readonly Finished[], numberOf: (run: Finished) => number): number =>
  runs.reduce((sum, run) => sum + numberOf(run), 0);

/** A sum of money of which a part is unknown is unknown, which is null. */
const moneyOf = (
  runs: readonly Finished[],
  amountOf: (totals: NonNullable<Finished['totals']>) => number | null,
): number | null => {
  const amounts = runs.map(({ totals }) => (totals ? amountOf(totals) : null));
  return amounts.includes(null) ? null : amounts.reduce<number>((sum, amount) => sum + (amount ?? 0), 0);
};

/** What finished runs came to together. */
export const sumRuns = (runs: readonly Finished[]): BatchTotals => {
  const input = sumOf(runs, ({ totals }) => totals?.inputTokens ?? 0);
  const output = sumOf(runs, ({ totals }) => totals?.outputTokens ?? 0);
  const completed = sumOf(runs, (run) => run.completed);
  const failed = sumOf(runs, (run) => run.failed);
  return {
    model: null,
    request_counts: { total: completed + failed, completed, failed },
    usage: { input_tokens: input, output_tokens: output, total_tokens: input + output },
    promptmill: {
      copied: sumOf(runs, ({ totals }) => totals?.copied ?? 0),
      cost: {
        spent: moneyOf(runs, ({ spent }) => spent),
        wasted: moneyOf(runs, ({ wasted }) => wasted),
        saved_by_cache: moneyOf(runs, ({ saved = 0 }) => saved),
      },
    },
  };
};

/** What finished runs have cost in USD, as far as it is known. */
export const knownCostOf = (runs: readonly Finished[]): number =>
  sumOf(runs, ({ totals }) => (totals?.spent ?? 0) + (totals?.wasted ?? 0));
