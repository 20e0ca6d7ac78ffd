import { formatCount, formatDuration, formatRate, formatShortCount, isTerminal } from '@promptmill/core/display';
import { useMemo } from 'preact/hooks';
import { html } from '../html.ts';
import { formatAge, formatCost, formatShare, formatSpan, shortId } from '../parts/format.ts';
import { ProgressBar } from '../parts/progress-bar.ts';
import { StatusPill } from '../parts/status-pill.ts';
import { hrefOf } from '../shell/route.ts';
import type { BatchSummary } from './batch-summary.ts';

export interface BatchRowProps {
  readonly batch: BatchSummary;
  readonly top: number;
  readonly position: number;
  readonly tokensPerSecond: number;
  readonly nowSeconds: number;
  /** Cancels another tenant's batch. */
  readonly onCancel: (batch: BatchSummary) => void;
}

const timeText = ({ status, endedAt, createdAt, etaSeconds }: BatchSummary): string => {
  if (endedAt !== null) return `took ${formatSpan(endedAt - createdAt)}`;
  if (isTerminal(status)) return '';
  return etaSeconds === null ? '' : `${formatDuration(etaSeconds)} left`;
};

const draw = ({ batch, top, position, tokensPerSecond, nowSeconds, onCancel }: BatchRowProps) => {
  const { id, name, status, isPaused, wait, progress, perSecond, spent, createdAt, tenant } = batch;
  const isRunning = !isTerminal(status);
  const ended = progress.completed + progress.failed;
  const content = html`
    <span class="what">
      <strong>${name}</strong>
      <code class="muted">${shortId(id)}</code>
    </span>
    <span class="state">
      <${StatusPill} status=${status} isPaused=${isPaused} isWaiting=${wait !== undefined} />
      ${wait && html`<span class="why" title=${wait.text} data-acts=${wait.wantsAction}>${wait.text}</span>`}
    </span>
    <span class="progress">
      <${ProgressBar} ...${progress} />
      <span class="counts" aria-hidden="true">
        <span>${formatCount(ended)} of ${formatCount(progress.total)}</span>
        ${progress.failed > 0 && html`<span class="bad">${formatCount(progress.failed)} failed · ${formatShare(progress.failed, ended)}</span>`}
      </span>
    </span>
    <span class="rate number">
      ${isRunning && perSecond ? html`<span>${formatRate(perSecond)}<span class="muted"> req/s</span></span>` : ''}
      ${isRunning && tokensPerSecond >= 1 ? html`<span>${formatShortCount(tokensPerSecond)}<span class="muted"> tok/s</span></span>` : ''}
    </span>
    <span class="time number">${timeText(batch)}</span>
    <span class="cost number">${spent === undefined ? '' : formatCost(spent)}</span>
    <span class="age number muted">${formatAge(nowSeconds - createdAt)}</span>
  `;
  return html`<li class="row" style=${{ top: `${top}px` }} aria-posinset=${position} aria-setsize="-1">
    ${
      tenant === undefined
        ? html`<a class="cells" href=${hrefOf({ name: 'batch', id })}>${content}</a>`
        : html`<div class="cells">${content}</div>`
    }
    ${
      tenant !== undefined && isRunning && status !== 'cancelling'
        ? html`<button class="quiet row-action" onClick=${() => onCancel(batch)} aria-label=${`Cancel ${id}`}>
            Cancel
          </button>`
        : ''
    }
  </li>`;
};

/**
 * A batch's line in the list: a link to its own view where the caller may see that. It is drawn again only when something
 * in it has changed, so that scrolling draws no more than the lines that come in.
 */
export const BatchRow = (props: BatchRowProps) => {
  const { batch, top, tokensPerSecond, nowSeconds } = props;
  return useMemo(() => draw(props), [batch, top, tokensPerSecond, nowSeconds]);
};
