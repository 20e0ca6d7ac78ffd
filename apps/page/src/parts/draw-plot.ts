import uPlot from 'uplot';

const heightPx = 180;

/** Steps between two marks of an axis with counts. */
export const countSteps = Array.from({ length: 12 }, (_, i) => [1, 2, 5].map((step) => step * 10 ** i)).flat();

/** The colour of the page with this name, such as `--done`. */
export type ColourOf = (name: string) => string;

export const axisOf = (colour: ColourOf): uPlot.Axis => ({
  stroke: () => colour('--muted'),
  grid: { stroke: () => colour('--line'), width: 1 },
  ticks: { show: false },
});

/**
 * Draws a chart into an element, as wide as that is and in the colours of the page, and follows both. Without a pointer
 * over the chart, its legend tells the latest.
 */
export const drawPlot = (
  element: HTMLElement,
  data: uPlot.AlignedData,
  optionsOf: (colour: ColourOf) => Omit<uPlot.Options, 'width' | 'height'>,
) => {
  const colour: ColourOf = (name) => getComputedStyle(element).getPropertyValue(name).trim();
  const size = () => ({ width: element.clientWidth, height: heightPx });
  const showLatest = (chart: uPlot): void => {
    if ((chart.cursor.left ?? -1) < 0) chart.setLegend({ idx: chart.data[0].length - 1 }, false);
  };
  const options = {
    cursor: { y: false, drag: { x: false, y: false } },
    hooks: { setCursor: [showLatest] },
    ...optionsOf(colour),
    ...size(),
  };
  const chart = new uPlot(options, data, element);
  const resized = new ResizeObserver(() => chart.setSize(size()));
  resized.observe(element);
  const scheme = matchMedia('(prefers-color-scheme: dark)');
  const redraw = (): void => chart.redraw(false, true);
  scheme.addEventListener('change', redraw);
  return {
    update: (next: uPlot.AlignedData): void => chart.setData(next),
    remove(): void {
      resized.disconnect();
      scheme.removeEventListener('change', redraw);
      chart.destroy();
    },
  };
};
