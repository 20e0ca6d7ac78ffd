import { formatCount } from '@promptmill/core/display';
import { html } from '../html.ts';

export interface Progress {
  readonly total: number;
  readonly completed: number;
  readonly failed: number;
  /** Requests that are in a lane: called, or waiting there for their turn. */
  readonly inLanes: number;
}

const describeProgress = ({ total, completed, failed, inLanes }: Progress): string =>
  total === 0
    ? 'No requests yet'
    : `${formatCount(completed)} done, ${formatCount(failed)} failed, ${formatCount(inLanes)} in work, of ${formatCount(total)}`;

/** Requests that are done, failed and in work, in one bar. A part that is there at all can be seen. */
export const ProgressBar = (progress: Progress) => {
  const { total, completed, failed, inLanes } = progress;
  const part = (kind: string, count: number) =>
    count > 0 && html`<span data-kind=${kind} style=${{ flexGrow: count, flexBasis: '2px' }}></span>`;
  const rest = Math.max(0, total - completed - failed - inLanes);
  return html`<div class="bar" role="img" aria-label=${describeProgress(progress)}>
    ${part('done', completed)} ${part('failed', failed)} ${part('work', inLanes)}
    ${part('rest', total === 0 ? 1 : rest)}
  </div>`;
};
