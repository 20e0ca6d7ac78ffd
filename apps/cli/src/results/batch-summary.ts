import { type BatchObject, isTerminal } from '@promptmill/core';
import { describeBatchErrors } from './batch-outcome.ts';
import { formatCount, formatDuration, formatUsd, plural } from '@promptmill/core/display';

const endedAt = (batch: BatchObject): number | null =>
  batch.completed_at ?? batch.failed_at ?? batch.expired_at ?? batch.cancelled_at;

const utc = (seconds: number): string => `${new Date(seconds * 1000).toISOString().slice(0, 19).replace('T', ' ')} UTC`;

/** `1,990 completed, 10 failed of 2,000` */
export const countsText = ({ request_counts: { total, completed, failed } }: BatchObject): string =>
  `${formatCount(completed)} completed, ${formatCount(failed)} failed of ${formatCount(total)}`;

/** `12,000 tokens (4,000 in, 8,000 out)` */
export const tokensText = ({ usage }: BatchObject): string =>
  `${plural(usage.total_tokens, 'token')} (${formatCount(usage.input_tokens)} in, ${formatCount(usage.output_tokens)} out)`;

/** What the results have cost by list prices or those of the configuration, and what calls without a result cost. */
export const costText = ({ model, promptmill: { cost } }: BatchObject): string => {
  if (cost.spent === null)
    return `unknown: nothing says what ${model ?? 'each model'} costs; prices in promptmill.yaml can`;
  return `${formatUsd(cost.spent)}${cost.wasted ? `, and ${formatUsd(cost.wasted)} for calls that gave no result` : ''}`;
};

/** Rows of a label and a text; one whose text is null is left out. */
export const rowsText = (rows: readonly (readonly [label: string, text: string | null])[]): string =>
  rows.flatMap(([label, text]) => (text === null ? [] : [`  ${label.padEnd(9)} ${text}`])).join('\n');

/** A batch's id, status, counts, times and files, one line each. */
export const batchSummary = (batch: BatchObject): string => {
  const { paused_at: pausedAt, retry_of: retryOf, retried_by: retriedBy } = batch.promptmill;
  const rows = rowsText([
    ['status', batch.status],
    ['paused', pausedAt === null ? null : `since ${utc(pausedAt)}`],
    ['requests', countsText(batch)],
    ['model', batch.model],
    ['tokens', batch.usage.total_tokens > 0 ? tokensText(batch) : null],
    ['price', batch.usage.total_tokens > 0 ? costText(batch) : null],
    ['created', utc(batch.created_at)],
    isTerminal(batch.status)
      ? ['took', formatDuration((endedAt(batch) ?? batch.created_at) - batch.created_at)]
      : ['expires', utc(batch.expires_at)],
    ['waits', batch.promptmill.blocked?.message ?? null],
    ['input', batch.input_file_id],
    ['output', batch.output_file_id],
    ['errors', batch.error_file_id],
    ['retry of', retryOf],
    ['retries', retriedBy.length > 0 ? retriedBy.join(' ') : null],
    ['retry', isTerminal(batch.status) && batch.request_counts.failed > 0 ? `promptmill retry ${batch.id}` : null],
  ]);
  const problems = batch.errors === null ? [] : [describeBatchErrors(batch, '  line')];
  return [batch.id, rows, ...problems].join('\n');
};
