import type { ComponentChildren } from 'preact';
import { useEffect, useRef, useState } from 'preact/hooks';
import { messageOf } from '../api/api-error.ts';
import { html } from '../html.ts';

export interface FormDialogProps {
  readonly title: string;
  /** What will happen. */
  readonly text: string;
  /** The word on the button that does it. */
  readonly act: string;
  readonly isHarmful?: boolean | undefined;
  /** Does it. Resolves with what is wrong with the fields, if they are not good. Its failure is shown. */
  readonly onAct: () => Promise<string | undefined>;
  readonly onClose: () => void;
  /** The fields. */
  readonly children?: ComponentChildren;
}

/** A dialog that does something only after it was said what that is. */
export const FormDialog = ({ title, text, act, isHarmful, onAct, onClose, children }: FormDialogProps) => {
  const dialog = useRef<HTMLDialogElement>(null);
  const [problem, setProblem] = useState<string | undefined>(undefined);
  const [isBusy, setBusy] = useState(false);
  useEffect(() => {
    dialog.current?.showModal();
  }, []);

  const submit = async (): Promise<void> => {
    setBusy(true);
    const wrong = await onAct().catch(messageOf);
    setBusy(false);
    setProblem(wrong);
    if (wrong === undefined) dialog.current?.close();
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
        void submit();
      }}
    >
      <h2 id="question-title">${title}</h2>
      <p id="question-text">${text}</p>
      ${children}
      <p class="problem" role="alert">${problem}</p>
      <div class="buttons">
        <button type="button" onClick=${() => dialog.current?.close()}>Not now</button>
        <button class=${isHarmful ? 'harmful' : 'primary'} disabled=${isBusy}>${act}</button>
      </div>
    </form>
  </dialog>`;
};
