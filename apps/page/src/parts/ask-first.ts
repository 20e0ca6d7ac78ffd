import { useEffect, useRef, useState } from 'preact/hooks';
import { messageOf } from '../api/api-error.ts';
import { html } from '../html.ts';

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

/** A dialog that does something only after it was said what that is. */
export const AskFirst = ({ question, onClose }: AskFirstProps) => {
  const dialog = useRef<HTMLDialogElement>(null);
  const amount = useRef<HTMLInputElement>(null);
  const [problem, setProblem] = useState<string | undefined>(undefined);
  const [isBusy, setBusy] = useState(false);
  useEffect(() => {
    dialog.current?.showModal();
  }, []);

  const act = async (): Promise<void> => {
    const given = question.amount ? Number(amount.current?.value) : undefined;
    if (question.amount && !((given ?? 0) > question.amount.above))
      return setProblem(`Enter more than ${question.amount.above}.`);
    setBusy(true);
    try {
      await question.onAct(given);
      dialog.current?.close();
    } catch (error) {
      setBusy(false);
      setProblem(messageOf(error));
    }
  };

  return html`<dialog
    ref=${dialog}
    onClose=${onClose}
    aria-labelledby="question-title"
    aria-describedby="question-text"
  >
    <form
      onSubmit=${(event: Event) => {
        event.preventDefault();
        void act();
      }}
    >
      <h2 id="question-title">${question.title}</h2>
      <p id="question-text">${question.text}</p>
      ${
        question.amount &&
        html`<label
          >${question.amount.label}
          <input ref=${amount} type="number" step="any" min="0" value=${question.amount.value} required />
        </label>`
      }
      <p class="problem" role="alert">${problem}</p>
      <div class="buttons">
        <button type="button" onClick=${() => dialog.current?.close()}>Not now</button>
        <button class=${question.isHarmful ? 'harmful' : 'primary'} disabled=${isBusy}>${question.act}</button>
      </div>
    </form>
  </dialog>`;
};
