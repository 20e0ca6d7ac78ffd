import type { BatchObject } from '@promptmill/core';
import { formatCount } from '@promptmill/core/display';
import { html } from '../html.ts';
import { formatCost } from '../parts/format.ts';

type Tiers = NonNullable<BatchObject['promptmill']['tiers']>;

/** How many answers each tier gave, and what they cost. */
const tiersText = (tiers: Tiers): string =>
  (['flex', 'standard'] as const)
    .map((tier) => {
      const { answers, spent } = tiers[tier];
      return `${formatCount(answers)} ${tier}${spent === null ? '' : ` (${formatCost(spent)})`}`;
    })
    .join(', ');

/** What a batch runs with. */
export const Settings = ({ batch }: { readonly batch: BatchObject }) => {
  const { promptmill, metadata } = batch;
  const rows: readonly (readonly [name: string, value: string])[] = [
    ['Model', batch.model ?? 'several'],
    ['Endpoint', batch.endpoint],
    ['Window', batch.completion_window],
    ['Cost limit', promptmill.max_cost === null ? 'none' : formatCost(promptmill.max_cost)],
    ...(promptmill.tiers ? [['Tiers', tiersText(promptmill.tiers)] as const] : []),
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
