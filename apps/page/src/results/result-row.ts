import { useState } from 'preact/hooks';
import type { RequestLine, ResultLine } from '../api/answers.ts';
import { html } from '../html.ts';
import { formatCost } from '../parts/format.ts';
import { answerOf, failureOf, promptOf } from './show-texts.ts';

export interface ResultRowProps {
  readonly result: ResultLine;
  /** Undefined while it is not loaded. */
  readonly request: RequestLine | undefined;
  readonly onWhole: () => void;
}

/** So much of a text is in a closed row; the style cuts it to what fits. */
const previewLength = 300;

const Whole = ({ result, request, onWhole }: ResultRowProps) => {
  const [isRaw, setRaw] = useState(false);
  const failure = failureOf(result);
  const isCut = request !== undefined && request.body === undefined;
  const note = result.promptmill;
  return html`<div class="whole">
    <div class="pair">
      <div>
        <h3>Prompt</h3>
        ${isCut ? html`<p><button onClick=${onWhole}>Load this large prompt</button></p>` : html`<pre>${request ? promptOf(request) : '…'}</pre>`}
      </div>
      <div>
        <h3>${failure ? 'Failure' : 'Answer'}</h3>
        ${failure && html`<p class="bad"><strong>${failure.code}</strong> ${failure.message}</p>`}
        ${answerOf(result) !== '' && html`<pre>${answerOf(result)}</pre>`}
      </div>
    </div>
    ${note?.fallback_from !== undefined && html`<p class="muted">${note.model} answered in place of ${note.fallback_from}.</p>`}
    <p class="raw-line">
      <button class="quiet" aria-expanded=${isRaw} onClick=${() => setRaw(!isRaw)}>
        ${isRaw ? 'Hide' : 'Show'} raw JSON
      </button>
      ${note?.cost_usd !== undefined && html`<span class="muted">cost ${formatCost(note.cost_usd)}</span>`}
    </p>
    ${isRaw && html`<pre class="raw" tabindex="0">${JSON.stringify({ request: request ?? null, result }, undefined, 2)}</pre>`}
  </div>`;
};

/** A result: prompt beside answer. It opens to show them whole. */
export const ResultRow = (props: ResultRowProps) => {
  const { result, request } = props;
  const [isOpen, setOpen] = useState(false);
  const failure = failureOf(result);
  const answer = failure ? `${failure.code}: ${failure.message}` : answerOf(result);
  return html`<li class="result" data-failed=${failure !== undefined}>
    <button class="line" aria-expanded=${isOpen} onClick=${() => setOpen(!isOpen)}>
      <code>${result.custom_id}</code>
      <span class="prompt">${request ? promptOf(request).slice(0, previewLength) : ''}</span>
      <span class=${failure ? 'answer bad' : 'answer'}>${answer.slice(0, previewLength)}</span>
    </button>
    ${isOpen && html`<${Whole} ...${props} />`}
  </li>`;
};
