import { formatCount, formatUsdRange, plural } from '@promptmill/core/display';
import type { BatchEstimate } from '../api/answers.ts';
import { html } from '../html.ts';
import type { NewBatch } from './new-batch.ts';

const outputText = ({ output_tokens: { expected, high } }: BatchEstimate): string => {
  if (expected !== null) return `about ${formatCount(expected)}`;
  return high === null ? 'unknown: nothing limits the answers' : `at most ${formatCount(high)}`;
};

const Estimate = ({ estimate }: { readonly estimate: BatchEstimate }) =>
  html`<dl class="pairs">
    <div>
      <dt class="muted">Tokens in</dt>
      <dd>${formatCount(estimate.input_tokens)}</dd>
    </div>
    <div>
      <dt class="muted">Tokens out</dt>
      <dd>${outputText(estimate)}</dd>
    </div>
    <div>
      <dt class="muted">Price</dt>
      <dd>${formatUsdRange(estimate.cost) ?? 'unknown: no price is known for a model of it'}</dd>
    </div>
  </dl>`;

/** Checks the whole file, says what the batch will use, and makes it. */
export const Check = ({ form }: { readonly form: NewBatch }) => {
  const checked = form.checked.value;
  const busy = form.busy.value;
  const problems = form.problems.value;
  const news = () => {
    if (busy === 'checking') return 'Every line is being checked …';
    return checked && `${plural(checked.requests, 'request')}. Nothing was called yet.`;
  };
  return html`<section class="card" aria-labelledby="check-title">
    <h2 id="check-title">Check and create</h2>
    <p role="status" class=${checked ? 'checked' : 'muted'}>
      ${news() ?? 'The whole file is checked, and the price estimated, before anything is called.'}
    </p>
    ${checked?.estimate && html`<${Estimate} estimate=${checked.estimate} />`}
    <div role="alert">
      ${
        problems.length > 0 &&
        html`<ul class="problems">
          ${problems.map((problem) => html`<li>${problem}</li>`)}
        </ul>`
      }
    </div>
    <p class="buttons">
      ${
        checked
          ? html`<button type="button" class="primary" disabled=${busy !== undefined} onClick=${form.create}>
              Create the batch
            </button>`
          : html`<button
              type="button"
              class="primary"
              disabled=${busy !== undefined || form.sending.value !== undefined}
              onClick=${form.check}
            >
              Check and estimate
            </button>`
      }
    </p>
  </section>`;
};
