import { html } from '../html.ts';
import type { NewBatch } from './new-batch.ts';
import { TextField } from './text-field.ts';

const endpoints = [
  ['/v1/chat/completions', 'Chat completions'],
  ['/v1/responses', 'Responses'],
  ['/v1/completions', 'Completions'],
  ['/v1/embeddings', 'Embeddings'],
  ['/v1/moderations', 'Moderations'],
  ['/v1/images/generations', 'Images'],
] as const;

const formats = [
  ['', 'Automatic'],
  ['text', 'Text, a prompt a line'],
  ['jsonl', 'JSON lines'],
  ['json', 'A JSON array'],
  ['csv', 'CSV'],
  ['tsv', 'Tab-separated values'],
  ['parquet', 'Parquet'],
] as const;

interface ChoiceProps {
  readonly form: NewBatch;
  readonly name: 'endpoint' | 'format' | 'idColumn';
  readonly label: string;
  readonly choices: readonly (readonly [value: string, text: string])[];
}

const Choice = ({ form, name, label, choices }: ChoiceProps) =>
  html`<div class="field">
    <label for=${`new-${name}`}>${label}</label>
    <select
      id=${`new-${name}`}
      value=${form.draft.value[name]}
      onChange=${({ currentTarget }: Event & { currentTarget: HTMLSelectElement }) =>
        form.change({ [name]: currentTarget.value })}
    >
      ${choices.map(([value, text]) => html`<option value=${value}>${text}</option>`)}
    </select>
  </div>`;

/** The columns of the file: each puts itself into the prompt where the cursor is. */
const Columns = ({ form }: { readonly form: NewBatch }) => {
  const columns = form.preview.value?.columns ?? [];
  const insert = (name: string): void => {
    const field = document.querySelector<HTMLTextAreaElement>('#new-prompt');
    if (!field) return;
    field.setRangeText(`{{${name}}}`, field.selectionStart, field.selectionEnd, 'end');
    form.change({ prompt: field.value });
    field.focus();
  };
  return (
    columns.length > 0 &&
    html`<div class="columns-of-file" role="group" aria-label="Put a column into the prompt">
      ${columns.map(
        ({ name, example }) =>
          html`<button type="button" class="column" title=${example} onClick=${() => insert(name)}>
            <code>${`{{${name}}}`}</code>
          </button>`,
      )}
    </div>`
  );
};

/** How the prompts become requests. */
export const RequestFields = ({ form }: { readonly form: NewBatch }) => {
  const columns = form.preview.value?.columns ?? [];
  return html`<section class="card" aria-labelledby="requests-title">
    <h2 id="requests-title">Requests</h2>
    <${TextField}
      form=${form}
      name="model"
      label="Model"
      more=${{ list: 'models', placeholder: 'provider/model', spellcheck: false, maxlength: 256 }}
    />
    <datalist id="models">${form.models.value.map((id) => html`<option value=${id}></option>`)}</datalist>
    <${TextField}
      form=${form}
      name="prompt"
      label="Prompt"
      rows=${4}
      note="What to ask of each row, with a column's name in {{ }} in place of its value. Leave it empty where each line is a prompt of its own."
    />
    <${Columns} form=${form} />
    <${TextField} form=${form} name="system" label="System message" rows=${2} />
    <div class="fields">
      <${TextField}
        form=${form}
        name="maxTokens"
        label="Max tokens"
        more=${{ type: 'number', min: 1, step: 1, placeholder: 'no limit' }}
      />
      <${TextField}
        form=${form}
        name="temperature"
        label="Temperature"
        more=${{ type: 'number', min: 0, max: 2, step: 'any', placeholder: 'default' }}
      />
    </div>
    <details>
      <summary>More</summary>
      <div class="fields">
        <${Choice}
          form=${form}
          name="idColumn"
          label="Id column"
          choices=${[['', 'None: request-1, …'], ...columns.map(({ name }) => [name, name] as const)]}
        />
        <${Choice} form=${form} name="endpoint" label="Endpoint" choices=${endpoints} />
        <${Choice} form=${form} name="format" label="File format" choices=${formats} />
      </div>
      <${TextField}
        form=${form}
        name="params"
        label="Further parameters, as JSON"
        rows=${2}
        more=${{ placeholder: '{"top_p": 0.9}', spellcheck: false }}
      />
    </details>
  </section>`;
};
