import { formatCount } from '@promptmill/core/display';
import type { FailureGroup } from '../api/answers.ts';
import { html } from '../html.ts';

export interface FailuresProps {
  readonly groups: readonly FailureGroup[];
  readonly isCounting: boolean;
  /** Whether requests can be run again: only once the batch has ended. */
  readonly canRetry: boolean;
  readonly onShow: (code: string) => void;
  readonly onRetry: (group: FailureGroup) => void;
}

/** What failed, by code, each with an example. */
export const Failures = ({ groups, isCounting, canRetry, onShow, onRetry }: FailuresProps) => html`
  <section class="card" aria-labelledby="failures-title">
    <h2 id="failures-title">Failures ${isCounting && html`<span class="muted">counting …</span>`}</h2>
    <ul class="groups">
      ${groups.map(
        (group) =>
          html`<li key=${group.code}>
            <span class="group-count number">${formatCount(group.count)}</span>
            <span class="group-what">
              <strong>${group.code}</strong>
              <span class="muted"> ${group.example.custom_id}: ${group.example.message}</span>
            </span>
            <span class="group-buttons">
              <button onClick=${() => onShow(group.code)} aria-label=${`Show requests that failed with ${group.code}`}>
                Show
              </button>
              ${
                canRetry &&
                html`<button
                  onClick=${() => onRetry(group)}
                  aria-label=${`Retry these, which failed with ${group.code}`}
                >
                  Retry these
                </button>`
              }
            </span>
          </li>`,
      )}
    </ul>
  </section>
`;
