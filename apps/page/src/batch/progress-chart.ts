import { useEffect, useRef } from 'preact/hooks';
import { formatCount } from '@promptmill/core/display';
import { html } from '../html.ts';
import { formatSpan } from '../parts/format.ts';
import type { ProgressPoint } from './progress-points.ts';

/** The curve of a batch. The library that draws it is loaded with the first one. */
export const ProgressChart = ({ points }: { readonly points: readonly ProgressPoint[] }) => {
  const element = useRef<HTMLDivElement>(null);
  const chart = useRef<{ update(points: readonly ProgressPoint[]): void; remove(): void }>(undefined);
  const latest = useRef(points);
  latest.current = points;

  useEffect(() => {
    let isGone = false;
    void import('./draw-chart.ts').then(({ drawChart }) => {
      if (!isGone && element.current) chart.current = drawChart(element.current, latest.current);
    });
    return () => {
      isGone = true;
      chart.current?.remove();
    };
  }, []);
  useEffect(() => chart.current?.update(points), [points]);

  const [first, last] = [points[0], points.at(-1)];
  const said =
    first && last
      ? `${formatCount(last.completed)} done and ${formatCount(last.failed)} failed after ${formatSpan(last.at - first.at)}`
      : 'Not begun';
  return html`<div class="chart" ref=${element} role="img" aria-label=${`Progress over time: ${said}`}></div>`;
};
