import { useRef } from 'preact/hooks';
import { html } from '../html.ts';
import { FormDialog } from './form-dialog.ts';

/** A change that says what will happen before it happens. */
export interface Question {
  readonly title: string;
  readonly text: string;
  /** The word on the button that does it. */
  readonly act: string;
  readonly isHarmful?: boolean;
  /** A number that the change needs. */
  readonly amount?: { readonly label: string; readonly value: number; readonly above: number };
  /** Does it. @param amount what was entered */
  readonly onAct: (amount: number | undefined) => Promise<unknown>;
}

export interface AskFirstProps {
  readonly question: Question;
  readonly onClose: () => void;
}

/** The dialog of a {@link Question}. */
export const AskFirst = ({ question, onClose }: AskFirstProps) => {
  const input = useRef<HTMLInputElement>(null);
  const { title, text, act, isHarmful, amount } = question;

  const onAct = async (): Promise<string | undefined> => {
    const given = amount ? Number(input.current?.value) : undefined;
    if (amount && !((given ?? 0) > amount.above)) return `Enter more than ${amount.above}.`;
    await question.onAct(given);
    return undefined;
  };

  return html`<${FormDialog} ...${{ title, text, act, isHarmful, onAct, onClose }}>
    ${
      amount &&
      html`<label
        >${amount.label}
        <input ref=${input} type="number" step="any" min="0" defaultValue=${amount.value} required />
      </label>`
    }
  </${FormDialog}>`;
};
