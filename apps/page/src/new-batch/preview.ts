import { useState } from 'preact/hooks';
import type { FilePreview } from '../api/answers.ts';
import { html } from '../html.ts';
import { promptOf, systemOf } from '../results/show-texts.ts';
import type { NewBatch } from './new-batch.ts';

type Request = FilePreview['requests'][number];

const tables: ReadonlySet<string> = new Set(['csv', 'tsv', 'parquet']);

const RequestShown = ({ request }: { readonly request: Request }) => {
  const [isRaw, setRaw] = useState(false);
  const system = systemOf(request);
  return html`<li>
    <p class="request-head">
      <code>${request.custom_id}</code>
      <button type="button" class="quiet" aria-expanded=${isRaw} onClick=${() => setRaw(!isRaw)}>
        ${isRaw ? 'Hide' : 'Show'} JSON<span class="unseen"> of ${request.custom_id}</span>
      </button>
    </p>
    ${request.body === undefined && html`<p class="muted">This request is too long to be shown here.</p>`}
    ${
      isRaw
        ? html`<pre tabindex="0">${JSON.stringify(request.body, undefined, 2)}</pre>`
        : html`${system !== '' && html`<p class="system muted">${system}</p>`}
            <p class="prompt-text">${promptOf(request)}</p>`
    }
  </li>`;
};

/** The first requests that the file makes, as they would be called, and what is wrong with them. */
export const Preview = ({ form }: { readonly form: NewBatch }) => {
  const { source, prompt } = form.draft.value;
  const preview = form.preview.value;
  const wantsPrompt = preview !== undefined && tables.has(preview.format) && prompt.trim() === '';
  const problems = form.previewProblem.value === undefined ? (preview?.problems ?? []) : [form.previewProblem.value];
  const hint = () => {
    if (!source) return 'They are shown here once there is a file.';
    if (wantsPrompt && problems.length > 0) return 'Write what to ask of each row.';
    return preview || problems.length > 0 ? undefined : 'Loading …';
  };
  return html`<section class="card" aria-labelledby="preview-title">
    <h2 id="preview-title">The first requests</h2>
    <div role="status">
      ${hint() !== undefined && html`<p class="muted">${hint()}</p>`}
      ${
        hint() === undefined &&
        problems.length > 0 &&
        html`<ul class="problems">
          ${problems.map((problem) => html`<li>${problem}</li>`)}
        </ul>`
      }
    </div>
    ${
      preview &&
      preview.requests.length > 0 &&
      html`<ol class="previewed">
        ${preview.requests.map((request) => html`<${RequestShown} key=${request.custom_id} request=${request} />`)}
      </ol>`
    }
  </section>`;
};
