import { formatCount } from '@promptmill/core/display';
import { html } from '../html.ts';
import { Chart } from '../parts/chart.ts';
import { formatSpan } from '../parts/format.ts';
import type { ProgressPoint } from './progress-points.ts';

const load = async () => (await import('./draw-chart.ts')).drawChart;

/** The curve of a batch. */
export const ProgressChart = ({ points }: { readonly points: readonly ProgressPoint[] }) => {
  const [first, last] = [points[0], points.at(-1)];
  const said =
    first && last
      ? `${formatCount(last.completed)} done and ${formatCount(last.failed)} failed after ${formatSpan(last.at - first.at)}`
      : 'Not begun';
  return html`<${Chart} data=${points} label=${`Progress over time: ${said}`} load=${load} />`;
};
