import type { BatchObject } from '@promptmill/core';
import { html } from '../html.ts';
import { formatCost } from '../parts/format.ts';

/** What a batch runs with. */
export const Settings = ({ batch }: { readonly batch: BatchObject }) => {
  const { promptmill, metadata } = batch;
  const rows: readonly (readonly [name: string, value: string])[] = [
    ['Model', batch.model ?? 'several'],
    ['Endpoint', batch.endpoint],
    ['Window', batch.completion_window],
    ['Cost limit', promptmill.max_cost === null ? 'none' : formatCost(promptmill.max_cost)],
    ['Schema', promptmill.check_schema ? 'each answer' : 'no'],
    ...Object.entries(metadata ?? {}),
  ];
  return html`<section class="card" aria-labelledby="settings-title">
    <h2 id="settings-title">Settings</h2>
    <dl class="pairs">
      ${rows.map(
        ([name, value]) =>
          html`<div>
            <dt class="muted">${name}</dt>
            <dd>${value}</dd>
          </div>`,
      )}
    </dl>
  </section>`;
};
