import { type BatchObject, isTerminal, type ServiceTier, serviceTiers } from '@promptmill/core';
import { describeBatchErrors } from './batch-outcome.ts';
import { waitOf } from '../progress/progress-line.ts';
import { nextStepOf } from './next-step.ts';
import { formatCount, formatDuration, formatUsd, plural } from '@promptmill/core/display';

const endedAt = (batch: BatchObject): number | null =>
  batch.completed_at ?? batch.failed_at ?? batch.expired_at ?? batch.cancelled_at;

/** How long a batch that has ended took, in seconds. */
export const secondsOf = (batch: BatchObject): number => (endedAt(batch) ?? batch.created_at) - batch.created_at;

const utc = (seconds: number): string => `${new Date(seconds * 1000).toISOString().slice(0, 19).replace('T', ' ')} UTC`;

type Cost = BatchObject['promptmill']['cost'];

/** What is counted of a batch, or of several batches together. */
export interface BatchTotals extends Pick<BatchObject, 'model' | 'request_counts'> {
  readonly usage: Pick<BatchObject['usage'], 'input_tokens' | 'output_tokens' | 'total_tokens'>;
  /** In USD. What is unknown is null. */
  readonly promptmill: {
    readonly cost: Pick<Cost, 'spent' | 'wasted'> & Partial<Pick<Cost, 'saved_by_cache'>>;
    /** Results that are copies. Absent: they are not counted. */
    readonly copied?: number;
    /** What each tier has answered. Absent: they are not counted. */
    readonly tiers?: BatchObject['promptmill']['tiers'];
  };
}

/** `1,990 completed, 10 failed of 2,000` */
export const countsText = ({
  request_counts: { total, completed, failed },
}: Pick<BatchTotals, 'request_counts'>): string =>
  `${formatCount(completed)} completed, ${formatCount(failed)} failed of ${formatCount(total)}`;

/** `12,000 tokens (4,000 in, 8,000 out)` */
export const tokensText = ({ usage }: BatchTotals): string =>
  `${plural(usage.total_tokens, 'token')} (${formatCount(usage.input_tokens)} in, ${formatCount(usage.output_tokens)} out)`;

/** What the results have cost by list prices or those of the configuration, and what calls without a result cost. */
export const costText = ({ model, promptmill: { cost } }: BatchTotals): string => {
  if (cost.spent === null)
    return `unknown: nothing says what ${model ?? 'each model'} costs; prices in promptmill.yaml can`;
  return `${formatUsd(cost.spent)}${cost.wasted ? `, and ${formatUsd(cost.wasted)} for calls that gave no result` : ''}`;
};

/** How many results are copies, and what they saved where that is known; null when none is. */
export const copiesText = ({ promptmill: { copied = 0, cost } }: BatchTotals): string | null => {
  if (copied === 0) return null;
  const saved = cost.saved_by_cache ? `, which saved ${formatUsd(cost.saved_by_cache)}` : '';
  return `${plural(copied, 'result')} of the same requests${saved}`;
};

/** What each tier has answered, and its price: `75 % flex (0.12), 25 % standard (0.08)`; null without flex. */
export const tiersText = ({ promptmill: { tiers = null } }: BatchTotals): string | null => {
  if (tiers === null) return null;
  const all = tiers.flex.answers + tiers.standard.answers;
  const share = (tier: ServiceTier): string => {
    const { answers, spent } = tiers[tier];
    const percent = all === 0 ? 0 : Math.round((1000 * answers) / all) / 10;
    return `${percent} % ${tier}${spent === null ? '' : ` (${formatUsd(spent)})`}`;
  };
  return serviceTiers.map(share).join(', ');
};

/** Rows of a label and a text; one whose text is null is left out. */
export const rowsText = (rows: readonly (readonly [label: string, text: string | null])[]): string =>
  rows.flatMap(([label, text]) => (text === null ? [] : [`  ${label.padEnd(9)} ${text}`])).join('\n');

const waitText = (batch: BatchObject): string | null => {
  const wait = waitOf(batch);
  return wait?.why === undefined ? null : `${wait.what}: ${wait.why}`;
};

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
    ['tiers', tiersText(batch)],
    ['copied', copiesText(batch)],
    ['created', utc(batch.created_at)],
    isTerminal(batch.status) ? ['took', formatDuration(secondsOf(batch))] : ['expires', utc(batch.expires_at)],
    ['waits', isTerminal(batch.status) ? null : waitText(batch)],
    ['next', nextStepOf(batch) ?? null],
    ['input', batch.input_file_id],
    ['output', batch.output_file_id],
    ['errors', batch.error_file_id],
    ['retry of', retryOf],
    ['retries', retriedBy.length > 0 ? retriedBy.join(' ') : null],
    ['results', batch.output_file_id || batch.error_file_id ? `promptmill results ${batch.id} -o results.jsonl` : null],
    ['retry', isTerminal(batch.status) && batch.request_counts.failed > 0 ? `promptmill retry ${batch.id}` : null],
  ]);
  const problems = batch.errors === null ? [] : [describeBatchErrors(batch, '  line')];
  return [batch.id, rows, ...problems].join('\n');
};
