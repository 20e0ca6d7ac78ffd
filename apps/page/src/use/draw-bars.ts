import { formatShortCount } from '@promptmill/core/display';
import uPlot from 'uplot';
import type { Drawn } from '../parts/chart.ts';
import { axisOf, countSteps, drawPlot } from '../parts/draw-plot.ts';
import { formatCost } from '../parts/format.ts';
import type { DayPoint } from './sum-usage.ts';

/** What each bar is as high as. */
export type Measure = 'spent' | 'tokens';

export interface BarsData {
  readonly points: readonly DayPoint[];
  readonly measure: Measure;
}

const tableOf = ({ points, measure }: BarsData): uPlot.AlignedData => [
  points.map((_, i) => i),
  points.map((point) => point[measure]),
];

/** Steps between two marks of money, in USD. */
const moneySteps = Array.from({ length: 14 }, (_, i) => [1, 2, 5].map((step) => step * 10 ** (i - 8))).flat();

const formatDay = (day: string): string =>
  new Date(`${day}T00:00:00Z`).toLocaleString('en-GB', { day: 'numeric', month: 'short', timeZone: 'UTC' });

/** Draws a bar for each day. */
export const drawBars = (element: HTMLElement, first: BarsData): Drawn<BarsData> => {
  let data = first;
  const dayAt = (i: number): string => {
    const day = data.points[i]?.day;
    return day === undefined ? '' : formatDay(day);
  };
  // Without a bar under the pointer there is no value.
  const format = (value: number | null | undefined): string => {
    if (value == null) return '–';
    return data.measure === 'spent' ? formatCost(value) : formatShortCount(value);
  };
  const plot = drawPlot(element, tableOf(data), (colour) => {
    const axis = axisOf(colour);
    return {
      series: [
        { label: 'Day', value: (_, i) => (i === null ? '' : dayAt(i)) },
        {
          label: data.measure === 'spent' ? 'Cost' : 'Tokens',
          value: (_, value) => format(value),
          fill: () => colour('--bar'),
          points: { show: false },
          ...(uPlot.paths.bars ? { paths: uPlot.paths.bars({ size: [0.62, 48], radius: 0.12 }) } : {}),
        },
      ],
      axes: [
        {
          ...axis,
          grid: { show: false },
          size: 30,
          incrs: [1, 2, 5, 7, 14, 30],
          values: (_, marks) => marks.map((i) => (Number.isInteger(i) ? dayAt(i) : '')),
        },
        {
          ...axis,
          size: 62,
          incrs: data.measure === 'spent' ? moneySteps : countSteps,
          values: (_, marks) => marks.map(format),
        },
      ],
      scales: {
        x: { time: false, range: (_, min, max) => [min - 0.5, max + 0.5] },
        y: { range: (_, _min, max) => [0, max > 0 ? max : 1] },
      },
    };
  });
  return {
    ...plot,
    update(next) {
      data = next;
      plot.update(tableOf(next));
    },
  };
};
