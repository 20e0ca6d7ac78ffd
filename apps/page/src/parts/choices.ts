import { html } from '../html.ts';

export interface ChoicesProps<Value> {
  readonly label: string;
  readonly choices: readonly (readonly [value: Value, word: string])[];
  readonly chosen: Value;
  readonly onChoose: (value: Value) => void;
}

/** A row of buttons of which one is chosen. */
export const Choices = <Value>({ label, choices, chosen, onChoose }: ChoicesProps<Value>) =>
  html`<div class="choices" role="group" aria-label=${label}>
    ${choices.map(
      ([value, word]) =>
        html`<button aria-pressed=${chosen === value} onClick=${() => onChoose(value)}>${word}</button>`,
    )}
  </div>`;
