import { formatShortCount } from '@promptmill/core/display';
import uPlot from 'uplot';
import type { ProgressPoint } from './progress-points.ts';

const heightPx = 180;
/** Steps between two marks of the time axis, in seconds. */
const timeSteps = [1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14_400, 28_800, 43_200, 86_400];

const tableOf = (points: readonly ProgressPoint[]): uPlot.AlignedData => [
  points.map(({ at }) => at),
  points.map(({ completed }) => completed),
  points.map(({ failed }) => failed),
  points.map(({ retries }) => retries),
];

/** Steps between two marks of the counts. */
const countSteps = Array.from({ length: 8 }, (_, i) => [1, 2, 5].map((step) => step * 10 ** i)).flat();

/** Draws a batch's curve into an element, in the colours of the page. */
export const drawChart = (element: HTMLElement, points: readonly ProgressPoint[]) => {
  const colour = (name: string): string => getComputedStyle(element).getPropertyValue(name).trim();
  const axis = {
    stroke: () => colour('--muted'),
    grid: { stroke: () => colour('--line'), width: 1 },
    ticks: { show: false },
  };
  const line = (label: string, name: string): uPlot.Series => ({
    label,
    stroke: () => colour(name),
    fill: () => `color-mix(in srgb, ${colour(name)} 14%, transparent)`,
    width: 2,
    points: { show: false },
  });
  const options: uPlot.Options = {
    width: element.clientWidth,
    height: heightPx,
    cursor: { y: false, drag: { x: false, y: false } },
    // Without a pointer over the curve, the legend tells the latest.
    hooks: {
      setCursor: [
        (chart) => {
          if ((chart.cursor.left ?? -1) < 0) chart.setLegend({ idx: chart.data[0].length - 1 }, false);
        },
      ],
    },
    series: [
      { value: '{HH}:{mm}:{ss}' },
      line('Done', '--done'),
      line('Failed', '--failed'),
      line('Retries', '--work'),
    ],
    axes: [
      { ...axis, size: 30, incrs: timeSteps, values: timesOf },
      { ...axis, size: 52, incrs: countSteps, values: (_, counts) => counts.map(formatShortCount) },
    ],
    scales: {
      x: { range: (_, min, max) => [min, Math.max(min + 1, max)] },
      y: { range: (_, _min, max) => [0, Math.max(1, max)] },
    },
  };
  const chart = new uPlot(options, tableOf(points), element);
  const resized = new ResizeObserver(() => chart.setSize({ width: element.clientWidth, height: heightPx }));
  resized.observe(element);
  const scheme = matchMedia('(prefers-color-scheme: dark)');
  const redraw = (): void => chart.redraw(false, true);
  scheme.addEventListener('change', redraw);
  return {
    update: (next: readonly ProgressPoint[]): void => chart.setData(tableOf(next)),
    remove(): void {
      resized.disconnect();
      scheme.removeEventListener('change', redraw);
      chart.destroy();
    },
  };
};

/** The times of an axis: with the day where it changes, with seconds where the marks are near to each other. */
const timesOf = (_: uPlot, times: readonly number[]): string[] => {
  const isClose = (times[1] ?? Infinity) - (times[0] ?? 0) < 60;
  const isLong = (times.at(-1) ?? 0) - (times[0] ?? 0) > 86_400;
  const format = new Intl.DateTimeFormat('en-GB', {
    ...(isLong ? { day: 'numeric', month: 'short' } : {}),
    hour: '2-digit',
    minute: '2-digit',
    ...(isClose ? { second: '2-digit' } : {}),
  });
  return times.map((time) => format.format(time * 1000));
};
