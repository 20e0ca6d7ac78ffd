import { useRef, useState } from 'preact/hooks';
import { html } from '../html.ts';
import { formatBytes } from '../parts/format.ts';
import type { NewBatch } from './new-batch.ts';
import { sentBytesOf } from './upload-in-parts.ts';

const accepted = '.txt,.csv,.tsv,.jsonl,.ndjson,.json,.parquet';

type InputEvent<E> = Event & { currentTarget: E };

const Progress = ({ form }: { readonly form: NewBatch }) => {
  const { upload } = form.draft.value;
  const bytes = upload?.bytes ?? 1;
  const sent = upload ? sentBytesOf(upload) : 0;
  return html`<div class="sending">
    <p>
      <strong>${form.sending.value?.name}</strong>
      <span class="muted number" role="status">${formatBytes(sent)} of ${formatBytes(bytes)}</span>
    </p>
    <progress max=${bytes} value=${sent} aria-label="Sent"></progress>
    <button type="button" onClick=${form.cancelUpload}>Cancel the upload</button>
  </div>`;
};

/** What a reload, or a lost connection, has interrupted. */
const Unfinished = ({ form }: { readonly form: NewBatch }) => {
  const { upload } = form.draft.value;
  if (!upload) return undefined;
  const file = form.atHand.value;
  const what = `was not sent to its end: ${formatBytes(sentBytesOf(upload))} of ${formatBytes(upload.bytes)} are there.`;
  const next = file
    ? ''
    : ' Choose the same file again, and it goes on from there. A browser may not open the file again by itself.';
  return html`<div class="notice" role="status">
    <p><strong>${upload.name}</strong>${` ${what}${next}`}</p>
    ${file && html`<button type="button" onClick=${() => form.send(file)}>Go on</button>`}
    <button type="button" class="quiet" onClick=${form.cancelUpload}>Forget it</button>
  </div>`;
};

const Chooser = ({ form }: { readonly form: NewBatch }) => {
  const text = useRef<HTMLTextAreaElement>(null);
  const [isOver, setOver] = useState(false);
  const [isEmpty, setEmpty] = useState(true);
  const take = (files: FileList | null | undefined): void => {
    const [file] = files ?? [];
    if (file) void form.send(file);
  };
  /** Its name has no ending, so that what it holds decides how it is read. */
  const paste = (): void => void form.send(new File([text.current?.value ?? ''], 'prompts'));
  return html`
    <${Unfinished} form=${form} />
    <label
      class="drop"
      data-over=${isOver}
      onDragOver=${(event: DragEvent) => {
        event.preventDefault();
        setOver(true);
      }}
      onDragLeave=${() => setOver(false)}
      onDrop=${(event: DragEvent) => {
        event.preventDefault();
        setOver(false);
        take(event.dataTransfer?.files);
      }}
    >
      <input
        type="file"
        class="unseen"
        accept=${accepted}
        onChange=${({ currentTarget }: InputEvent<HTMLInputElement>) => {
          take(currentTarget.files);
          currentTarget.value = '';
        }}
      />
      <span><strong>Drop a file of prompts here</strong>, or <span class="link">choose one</span></span>
      <span class="muted">.txt, .csv, .tsv, .jsonl, .json or .parquet</span>
    </label>
    <label class="field">
      Or paste prompts, one a line
      <textarea
        ref=${text}
        rows="4"
        spellcheck="false"
        onInput=${({ currentTarget }: InputEvent<HTMLTextAreaElement>) => setEmpty(currentTarget.value.trim() === '')}
      ></textarea>
    </label>
    ${
      !isEmpty &&
      html`<p class="buttons"><button type="button" class="primary" onClick=${paste}>Use these prompts</button></p>`
    }
  `;
};

const Chosen = ({ form }: { readonly form: NewBatch }) => {
  const { source } = form.draft.value;
  return html`<div class="chosen">
    <p><strong>${source?.name}</strong> <span class="muted">${formatBytes(source?.bytes ?? 0)}</span></p>
    <button type="button" onClick=${form.dropSource}>Choose another</button>
  </div>`;
};

/** Where the prompts come from: a file that is dropped or chosen, or what is pasted. */
export const Source = ({ form }: { readonly form: NewBatch }) => {
  const view = () => {
    if (form.sending.value) return html`<${Progress} form=${form} />`;
    return form.draft.value.source ? html`<${Chosen} form=${form} />` : html`<${Chooser} form=${form} />`;
  };
  return html`<section class="card" aria-labelledby="source-title">
    <h2 id="source-title">Prompts</h2>
    ${view()}
    <p class="problem" role="alert">${form.sendProblem.value}</p>
  </section>`;
};
