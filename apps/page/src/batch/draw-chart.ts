import { formatShortCount } from '@promptmill/core/display';
import type uPlot from 'uplot';
import type { Drawn } from '../parts/chart.ts';
import { axisOf, countSteps, drawPlot } from '../parts/draw-plot.ts';
import type { ProgressPoint } from './progress-points.ts';

/** Steps between two marks of the time axis, in seconds. */
const timeSteps = [1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14_400, 28_800, 43_200, 86_400];

const tableOf = (points: readonly ProgressPoint[]): uPlot.AlignedData => [
  points.map(({ at }) => at),
  points.map(({ completed }) => completed),
  points.map(({ failed }) => failed),
  points.map(({ retries }) => retries),
];

/** Draws a batch's curve. */
export const drawChart = (element: HTMLElement, points: readonly ProgressPoint[]): Drawn<readonly ProgressPoint[]> => {
  const plot = drawPlot(element, tableOf(points), (colour) => {
    const line = (label: string, name: string): uPlot.Series => ({
      label,
      stroke: () => colour(name),
      fill: () => `color-mix(in srgb, ${colour(name)} 14%, transparent)`,
      width: 2,
      points: { show: false },
    });
    const axis = axisOf(colour);
    return {
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
  });
  return { ...plot, update: (next) => plot.update(tableOf(next)) };
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
