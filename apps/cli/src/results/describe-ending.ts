import { formatDuration } from '@promptmill/core/display';
import {
  type BatchTotals,
  copiesText,
  countsText,
  costText,
  rowsText,
  tiersText,
  tokensText,
} from './batch-summary.ts';
import { describeReasons, type FailureReasons } from './failure-reasons.ts';

export interface Ending {
  /** The first line, such as the batch's status. */
  readonly title: string;
  readonly totals: BatchTotals;
  readonly reasons: FailureReasons;
  readonly seconds: number;
  /** Where the results are, or the command that gets them; undefined when they went to standard output. */
  readonly results: string | undefined;
  /** The command that runs again what failed. */
  readonly retryCommand: string;
  /** How wide the screen is. Default: wide enough for a line of a log. */
  readonly columns?: number | undefined;
}

const labelColumns = 12;
const rowColumns = 160;

/** What a batch or a run came to: counts, why requests failed, tokens, price, time, and what to do next. */
export const describeEnding = ({ title, totals, reasons, seconds, results, retryCommand, columns }: Ending): string => {
  const lines = describeReasons(reasons, (columns ?? rowColumns) - labelColumns - 1);
  return [
    title,
    rowsText([
      ['requests', countsText(totals)],
      ...lines.map((line, index): [string, string] => [index === 0 ? 'failed' : '', line]),
      ['tokens', tokensText(totals)],
      ['price', costText(totals)],
      ['tiers', tiersText(totals)],
      ['copied', copiesText(totals)],
      ['took', formatDuration(seconds)],
      ['results', results ?? null],
      ['retry', totals.request_counts.failed > 0 ? retryCommand : null],
    ]),
  ].join('\n');
};
