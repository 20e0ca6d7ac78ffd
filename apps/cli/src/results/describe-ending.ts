import type { BatchObject } from '@promptmill/core';
import { formatDuration } from '@promptmill/core/display';
import { countsText, costText, rowsText, tokensText } from './batch-summary.ts';
import { describeReasons, type FailureReasons } from './publish-results.ts';

export interface Ending {
  readonly batch: BatchObject;
  readonly reasons: FailureReasons;
  readonly seconds: number;
  /** The path of the results; undefined when they went to standard output. */
  readonly output: string | undefined;
  /** The command that runs again what failed. */
  readonly retryCommand: string;
  /** How wide the screen is. Default: wide enough for a line of a log. */
  readonly columns?: number | undefined;
}

const labelColumns = 12;
const rowColumns = 160;

/** What a run came to: counts, why requests failed, tokens, price, time, and what to do next. */
export const describeEnding = ({ batch, reasons, seconds, output, retryCommand, columns }: Ending): string => {
  const lines = describeReasons(reasons, (columns ?? rowColumns) - labelColumns - 1);
  return [
    batch.status,
    rowsText([
      ['requests', countsText(batch)],
      ...lines.map((line, index): [string, string] => [index === 0 ? 'failed' : '', line]),
      ['tokens', tokensText(batch)],
      ['price', costText(batch)],
      ['took', formatDuration(seconds)],
      ['results', output ?? null],
      ['retry', batch.request_counts.failed > 0 ? retryCommand : null],
    ]),
  ].join('\n');
};
