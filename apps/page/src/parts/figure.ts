import { html } from '../html.ts';

export interface FigureProps {
  readonly name: string;
  readonly value: unknown;
  /** Small, after the value. */
  readonly note?: unknown;
}

/** One of a list of figures: a name, a value and a note. */
export const Figure = ({ name, value, note = '' }: FigureProps) =>
  html`<div>
    <dt class="muted">${name}</dt>
    <dd>${value}${note && html`<span class="muted note">${note}</span>`}</dd>
  </div>`;
