import type { BatchObject } from '@promptmill/core';
import { html } from '../html.ts';
import { formatMoment, formatSpan } from '../parts/format.ts';

/** A moment in the life of a batch. */
export interface Moment {
  readonly what: string;
  /** Unix seconds. */
  readonly at: number;
  readonly isAhead?: boolean;
}

/** What has happened to a batch, in order, and by when it ends at the latest. */
export const momentsOf = (batch: BatchObject): readonly Moment[] => {
  const moments: readonly (readonly [what: string, at: number | null])[] = [
    ['Created', batch.created_at],
    ['Input checked, calls begin', batch.in_progress_at],
    ['Paused', batch.promptmill.paused_at],
    ['Cancel asked', batch.cancelling_at],
    ['All answers in, files are written', batch.finalizing_at],
    ['Completed', batch.completed_at],
    ['Refused', batch.failed_at],
    ['Expired', batch.expired_at],
    ['Cancelled', batch.cancelled_at],
  ];
  const past = moments.flatMap(([what, at]) => (at === null ? [] : [{ what, at }])).toSorted((a, b) => a.at - b.at);
  const hasEnded = [batch.completed_at, batch.failed_at, batch.expired_at, batch.cancelled_at].some(
    (at) => at !== null,
  );
  return hasEnded ? past : [...past, { what: 'Expires', at: batch.expires_at, isAhead: true }];
};

export const Timeline = ({ batch }: { readonly batch: BatchObject }) => {
  const moments = momentsOf(batch);
  return html`<section class="card" aria-labelledby="timeline-title">
    <h2 id="timeline-title">Timeline</h2>
    <ol class="timeline">
      ${moments.map(({ what, at, isAhead = false }, i) => {
        const before = moments[i - 1];
        const after = before && !isAhead ? formatSpan(at - before.at) : '';
        return html`<li data-ahead=${isAhead}>
          <span>${what}</span>
          <span class="muted number"
            ><time datetime=${new Date(at * 1000).toISOString()}>${formatMoment(at)}</time
            >${after && html` · +${after}`}</span
          >
        </li>`;
      })}
    </ol>
  </section>`;
};
