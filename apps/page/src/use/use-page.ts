import { formatShortCount, plural } from '@promptmill/core/display';
import { useEffect, useMemo, useRef, useState } from 'preact/hooks';
import type { UsageRow } from '../api/answers.ts';
import { messageOf } from '../api/api-error.ts';
import { html } from '../html.ts';
import { Chart } from '../parts/chart.ts';
import { Choices } from '../parts/choices.ts';
import { ChooseTenant } from '../parts/choose-tenant.ts';
import { Figure } from '../parts/figure.ts';
import { formatCost } from '../parts/format.ts';
import { useTimer } from '../parts/use-timer.ts';
import { usePage } from '../shell/context.ts';
import type { BarsData, Measure } from './draw-bars.ts';
import { lastDays, pointsOf, sumUsage } from './sum-usage.ts';
import { UsageTable } from './usage-table.ts';

const refreshMs = 15_000;
const spans = [
  [7, '7 days'],
  [30, '30 days'],
  [90, '90 days'],
] as const;
const measures = [
  ['spent', 'Cost'],
  ['tokens', 'Tokens'],
] as const;

const loadBars = async () => (await import('./draw-bars.ts')).drawBars;

interface Usage {
  readonly days: readonly string[];
  readonly byDay: readonly UsageRow[];
  readonly byModel: readonly UsageRow[];
  /** For an admin who looks at all tenants. */
  readonly byTenant?: readonly UsageRow[];
}

const costliestFirst = (rows: readonly UsageRow[]): UsageRow[] =>
  rows.toSorted((a, b) => b.cost.spent_known - a.cost.spent_known || b.answers - a.answers);

/** What was used and spent, by day, model and tenant. A tenant sees its own, an admin all. */
export const UsePage = () => {
  const { client, caller } = usePage();
  const [count, setCount] = useState<number>(30);
  const [tenant, setTenant] = useState<string | undefined>(undefined);
  const [chosenMeasure, setMeasure] = useState<Measure | undefined>(undefined);
  const [usage, setUsage] = useState<Usage | undefined>(undefined);
  const [problem, setProblem] = useState<string | undefined>(undefined);
  const current = useRef(new AbortController());

  const load = async (): Promise<void> => {
    const { signal } = current.current;
    const days = lastDays(count, Date.now());
    const from = days[0] ?? '';
    const list = (by: 'day' | 'model' | 'tenant') =>
      caller.admin ? client.listUsageOf(tenant, { by, from }, signal) : client.listUsage({ by, from }, signal);
    try {
      const [byDay, byModel, byTenant] = await Promise.all([
        list('day'),
        list('model'),
        caller.admin && tenant === undefined ? list('tenant') : undefined,
      ]);
      setUsage({ days, byDay, byModel, ...(byTenant ? { byTenant } : {}) });
      setProblem(undefined);
    } catch (error) {
      if (!signal.aborted) setProblem(messageOf(error));
    }
  };
  useEffect(() => {
    document.title = 'Use · Promptmill';
  }, []);
  useEffect(() => {
    current.current = new AbortController();
    void load();
    return () => current.current.abort();
  }, [count, tenant]);
  useTimer(load, refreshMs);

  const sum = sumUsage(usage?.byModel ?? []);
  const measure = chosenMeasure ?? (sum.spent ? 'spent' : 'tokens');
  const data = useMemo<BarsData>(
    () => ({ points: usage ? pointsOf(usage.days, usage.byDay) : [], measure }),
    [usage, measure],
  );
  const chartLabel =
    measure === 'spent'
      ? `Cost by day: ${formatCost(sum.spent)} in ${count} days`
      : `Tokens by day: ${formatShortCount(sum.inputTokens + sum.outputTokens)} in ${count} days`;

  return html`
    <div class="head">
      <h1>Use</h1>
      <p class="muted" role="status">${usage ? 'Days in UTC' : 'Loading …'}</p>
    </div>
    <div class="filters">
      <${Choices} label="Time" choices=${spans} chosen=${count} onChoose=${setCount} />
      ${caller.admin && html`<${ChooseTenant} byDefault="All tenants" chosen=${tenant} onChoose=${setTenant} />`}
    </div>
    ${problem !== undefined && html`<p class="problem" role="alert">${problem}</p>`}
    ${
      usage &&
      html`<div class="use">
        <section class="card" aria-label="Sums">
          <dl class="figures">
            <${Figure}
              name="Cost"
              value=${formatCost(sum.spent)}
              note=${sum.unpriced > 0 ? `and ${plural(sum.unpriced, 'answer')} of unknown price` : ''}
            />
            <${Figure} name="Answers" value=${formatShortCount(sum.answers)} />
            <${Figure}
              name="Tokens in"
              value=${formatShortCount(sum.inputTokens)}
              note=${sum.cachedTokens > 0 ? `${formatShortCount(sum.cachedTokens)} cached` : ''}
            />
            <${Figure} name="Tokens out" value=${formatShortCount(sum.outputTokens)} />
            ${sum.wasted > 0 && html`<${Figure} name="Wasted" value=${formatCost(sum.wasted)} note="calls without a result" />`}
          </dl>
        </section>
        ${
          sum.answers === 0
            ? html`<p class="empty">No answers in these ${count} days.</p>`
            : html`<section class="card" aria-labelledby="chart-title">
                  <div class="card-head">
                    <h2 id="chart-title">Day by day</h2>
                    <${Choices} label="Show" choices=${measures} chosen=${measure} onChoose=${setMeasure} />
                  </div>
                  <${Chart} key=${measure} data=${data} label=${chartLabel} load=${loadBars} />
                </section>
                ${
                  usage.byTenant &&
                  html`<${UsageTable}
                    heading="Tenant"
                    rows=${costliestFirst(usage.byTenant)}
                    nameOf=${(row: UsageRow) => row.tenant}
                  />`
                }
                <${UsageTable}
                  heading="Model"
                  rows=${costliestFirst(usage.byModel)}
                  nameOf=${(row: UsageRow) => row.model}
                />
                <${UsageTable} heading="Day" rows=${usage.byDay.toReversed()} nameOf=${(row: UsageRow) => row.day} />`
        }
      </div>`
    }
  `;
};
