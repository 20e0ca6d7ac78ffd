import { formatCount, formatShortCount } from '@promptmill/core/display';
import type { Deployment, Lane } from '../api/answers.ts';
import { html } from '../html.ts';
import { describeHold } from '../parts/describe-wait.ts';
import { Figure } from '../parts/figure.ts';
import { formatAge } from '../parts/format.ts';
import { describeLimits, describeWaiting, isChanged, wordFor } from './lane-words.ts';

export interface LaneCardProps {
  readonly lane: Lane;
  readonly nowSeconds: number;
  /** Asks for other limits. Undefined: the caller may not change them. */
  readonly onChange: (() => void) | undefined;
}

const noLimits = ({ deployments }: Lane): string =>
  deployments.length > 0 ? 'none set' : 'none set: the provider’s answers decide how many calls are in flight';

/** How much of what is allowed is taken, as a bar. */
const Taken = ({ what, taken, allowed }: { what: string; taken: number; allowed: number | null }) => {
  if (allowed === null) return '';
  const share = Math.min(1, taken / allowed);
  return html`<div class="bar" role="img" aria-label=${`${what}: ${formatCount(taken)} of ${formatCount(allowed)}`}>
    ${share > 0 && html`<span data-kind="taken" style=${{ flexGrow: share, flexBasis: '2px' }}></span>`}
    <span style=${{ flexGrow: 1 - share }}></span>
  </div>`;
};

/** One of the deployments that share a lane's calls. */
const DeploymentRow = ({ lane, deployment }: { lane: Lane; deployment: Deployment }) => {
  const { word, kind } = wordFor(deployment);
  const { in_flight: inFlight, allowed, reason } = deployment;
  const limits = describeLimits(deployment.limits);
  return html`<li>
    <strong>${deployment.id.slice(lane.id.length + 1)}</strong> <span class="pill" data-kind=${kind}>${word}</span>
    ${formatCount(inFlight)} in flight${allowed !== null && ` of ${formatCount(allowed)}`}
    <span class="muted">
      ${limits.length > 0 && `; ${limits.join(', ')}`}
      ${deployment.held_until !== null && reason !== null && html`; <code>${reason}</code>`}
    </span>
  </li>`;
};

/** What a lane is doing now: what is in work and waits, its limits, why it is held, and how its provider failed lately. */
export const LaneCard = ({ lane, nowSeconds, onChange }: LaneCardProps) => {
  const {
    id,
    in_flight: inFlight,
    allowed,
    live_in_flight: live,
    tokens_this_minute: tokens,
    last_errors: errors,
  } = lane;
  const { word, kind } = wordFor(lane);
  const limits = describeLimits(lane.limits);
  const notes = [
    ...(allowed === null ? [] : [`of ${formatCount(allowed)}`]),
    ...(live > 0 ? [`${formatCount(live)} live`] : []),
  ];
  const title = `lane-${id}`;
  return html`<li class="card lane" aria-labelledby=${title}>
    <div class="lane-head">
      <h2 id=${title}>${id}</h2>
      <span class="pill" data-kind=${kind}>${word}</span>
      ${onChange && html`<button onClick=${onChange} aria-label=${`Change limits of ${id}`}>Change limits</button>`}
    </div>
    ${
      lane.held_until !== null &&
      html`<p class="banner" data-acts="true">
        ${describeHold({ lane: id, reason: lane.reason ?? '', held_until: lane.held_until }, nowSeconds).text}
      </p>`
    }
    <dl class="figures">
      <div>
        <dt class="muted">In flight</dt>
        <dd>
          ${formatCount(inFlight)} ${notes.length > 0 && html`<span class="muted note">${notes.join(', ')}</span>`}
          <${Taken} what="In flight" taken=${inFlight} allowed=${allowed} />
        </dd>
      </div>
      <${Figure}
        name="Waiting"
        value=${formatCount(lane.waiting)}
        note=${lane.live_waiting > 0 ? describeWaiting(lane) : ''}
      />
      <div>
        <dt class="muted">Tokens this minute</dt>
        <dd>
          ${tokens === null ? html`<span class="muted note">not counted</span>` : formatShortCount(tokens)}
          ${
            lane.limits.tokens_per_minute !== null &&
            html`<span class="muted note">of ${formatShortCount(lane.limits.tokens_per_minute)}</span>
              <${Taken} what="Tokens this minute" taken=${tokens ?? 0} allowed=${lane.limits.tokens_per_minute} />`
          }
        </dd>
      </div>
    </dl>
    <dl class="pairs">
      ${
        lane.deployments.length > 0 &&
        html`<div>
          <dt class="muted">Deployments</dt>
          <dd>
            <ul class="deployments">
              ${lane.deployments.map(
                (deployment) => html`<${DeploymentRow} key=${deployment.id} lane=${lane} deployment=${deployment} />`,
              )}
            </ul>
          </dd>
        </div>`
      }
      <div>
        <dt class="muted">${lane.deployments.length > 0 ? 'Limits of all' : 'Limits'}</dt>
        <dd>
          ${limits.length > 0 ? limits.join(', ') : noLimits(lane)}
          ${isChanged(lane) && html` <span class="pill">changed</span>`}
        </dd>
      </div>
      <div>
        <dt class="muted">Last errors</dt>
        <dd>
          ${
            errors.length === 0
              ? 'none in the last day'
              : html`<ul class="errors">
                  ${errors.map(
                    ({ reason, at }) =>
                      html`<li><code>${reason}</code> <span class="muted">${formatAge(nowSeconds - at)}</span></li>`,
                  )}
                </ul>`
          }
        </dd>
      </div>
    </dl>
  </li>`;
};
