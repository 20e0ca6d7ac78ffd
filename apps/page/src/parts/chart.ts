import { useEffect, useRef } from 'preact/hooks';
import { html } from '../html.ts';

/** A chart that has been drawn. */
export interface Drawn<Data> {
  update(data: Data): void;
  remove(): void;
}

export interface ChartProps<Data> {
  readonly data: Data;
  /** What the chart shows, for who does not see it. */
  readonly label: string;
  /** Loads what draws it, with the library, and draws it. It must not change. */
  readonly load: () => Promise<(element: HTMLElement, data: Data) => Drawn<Data>>;
}

/** A place for a chart. The library that draws it is loaded with the first one. */
export const Chart = <Data>({ data, label, load }: ChartProps<Data>) => {
  const element = useRef<HTMLDivElement>(null);
  const chart = useRef<Drawn<Data>>(undefined);
  const latest = useRef(data);
  latest.current = data;
  useEffect(() => {
    let isGone = false;
    void load().then((draw) => {
      if (!isGone && element.current) chart.current = draw(element.current, latest.current);
    });
    return () => {
      isGone = true;
      chart.current?.remove();
    };
  }, []);
  useEffect(() => chart.current?.update(data), [data]);
  return html`<div class="chart" ref=${element} role="img" aria-label=${label}></div>`;
};
