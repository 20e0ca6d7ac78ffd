import { formatCount, formatShortCount } from '@promptmill/core/display';
import type { UsageRow } from '../api/answers.ts';
import { html } from '../html.ts';
import { costText } from './sum-usage.ts';

export interface UsageTableProps {
  /** What the rows are named by: `Model`. */
  readonly heading: string;
  readonly rows: readonly UsageRow[];
  readonly nameOf: (row: UsageRow) => string | undefined;
}

/** What was used, one row for each model, tenant or day. */
export const UsageTable = ({ heading, rows, nameOf }: UsageTableProps) => {
  const title = `by-${heading.toLowerCase()}`;
  return html`<section class="card" aria-labelledby=${title}>
    <h2 id=${title}>By ${heading.toLowerCase()}</h2>
    <table class="usage" aria-labelledby=${title}>
      <thead>
        <tr class="muted">
          <th scope="col">${heading}</th>
          <th scope="col" class="number answers">Answers</th>
          <th scope="col" class="number">Tokens in</th>
          <th scope="col" class="number">Tokens out</th>
          <th scope="col" class="number">Cost</th>
        </tr>
      </thead>
      <tbody>
        ${rows.map(
          (row) =>
            html`<tr>
              <th scope="row">${nameOf(row)}</th>
              <td class="number answers">${formatCount(row.answers)}</td>
              <td class="number">${formatShortCount(row.input_tokens)}</td>
              <td class="number">${formatShortCount(row.output_tokens)}</td>
              <td class="number">${costText(row)}</td>
            </tr>`,
        )}
      </tbody>
    </table>
  </section>`;
};
