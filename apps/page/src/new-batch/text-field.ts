import type { ComponentChildren } from 'preact';
import { html } from '../html.ts';
import type { Draft } from './draft.ts';
import type { NewBatch } from './new-batch.ts';

type TextName = { [Name in keyof Draft]: Draft[Name] extends string ? Name : never }[keyof Draft];

export interface TextFieldProps {
  readonly form: NewBatch;
  readonly name: TextName;
  readonly label: string;
  /** What it is good for, in a few words. */
  readonly note?: ComponentChildren;
  /** Lines of a longer text. Default: a field of one line. */
  readonly rows?: number;
  /** Further attributes of the field. */
  readonly more?: Readonly<Record<string, unknown>>;
}

/** A field for one text of the draft. */
export const TextField = ({ form, name, label, note, rows, more }: TextFieldProps) => {
  const id = `new-${name}`;
  const noteId = note === undefined ? undefined : `${id}-note`;
  const onInput = ({ currentTarget }: Event & { currentTarget: HTMLInputElement }): void =>
    form.change({ [name]: currentTarget.value });
  const shared = { id, value: form.draft.value[name], onInput, 'aria-describedby': noteId, ...more };
  return html`<div class="field">
    <label for=${id}>${label}</label>
    ${rows === undefined ? html`<input autocomplete="off" ...${shared} />` : html`<textarea rows=${rows} ...${shared}></textarea>`}
    ${note !== undefined && html`<p class="muted note" id=${noteId}>${note}</p>`}
  </div>`;
};
