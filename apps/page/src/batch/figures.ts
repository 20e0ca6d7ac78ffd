import type { BatchObject } from '@promptmill/core';
import { formatCount, formatDuration, formatRate, formatShortCount, isTerminal } from '@promptmill/core/display';
import { endOf, progressOf } from '../batches/batch-summary.ts';
import { html } from '../html.ts';
import { Figure } from '../parts/figure.ts';
import { formatCost, formatShare, formatSpan } from '../parts/format.ts';

export interface FiguresProps {
  readonly batch: BatchObject;
  readonly tokensPerSecond: number;
  readonly nowSeconds: number;
  /** Opens the lines behind a count. */
  readonly onShow: (status: 'completed' | 'failed') => void;
}

const costText = ({ promptmill: { cost } }: BatchObject): string =>
  cost.estimated === null ? '' : `of about ${formatCost(cost.estimated)}`;

/** The counts of a batch, and how fast and dear it is. */
export const Figures = ({ batch, tokensPerSecond, nowSeconds, onShow }: FiguresProps) => {
  const { total, completed, failed, inLanes } = progressOf(batch);
  const { requests_per_second: perSecond, eta_seconds: eta, cost } = batch.promptmill;
  const isRunning = !isTerminal(batch.status);
  const isPaused = batch.promptmill.paused_at !== null;
  const took = (endOf(batch) ?? nowSeconds) - (batch.in_progress_at ?? batch.created_at);
  const figure = (name: string, value: unknown, note?: unknown) =>
    html`<${Figure} name=${name} value=${value} note=${note} />`;
  const count = (status: 'completed' | 'failed', value: number) =>
    value === 0
      ? '0'
      : html`<button class="quiet count" onClick=${() => onShow(status)}>${formatCount(value)}</button>`;
  return html`<dl class="figures">
    ${figure('Done', count('completed', completed), `of ${formatCount(total)}`)}
    ${figure('Failed', count('failed', failed), formatShare(failed, completed + failed))}
    ${batch.promptmill.retries > 0 && figure('Retries', formatCount(batch.promptmill.retries))}
    ${isRunning && figure('In work', formatCount(inLanes))}
    ${isRunning && figure('Requests/s', perSecond === null || isPaused ? '–' : formatRate(perSecond))}
    ${isRunning && figure('Tokens/s', tokensPerSecond < 1 || isPaused ? '–' : formatShortCount(tokensPerSecond))}
    ${!isRunning && figure('Tokens', formatShortCount(batch.usage.total_tokens), `${formatShortCount(batch.usage.output_tokens)} out`)}
    ${isRunning ? figure('Time left', eta === null ? '–' : formatDuration(eta), `runs for ${formatSpan(took)}`) : figure('Took', formatSpan(took))}
    ${figure('Cost', formatCost(cost.spent), costText(batch))}
  </dl>`;
};
