import { useEffect, useMemo, useRef } from 'preact/hooks';
import { formatCount } from '@promptmill/core/display';
import { useSearchKey } from '../batches/list-filters.ts';
import { html } from '../html.ts';
import { useTimer } from '../parts/use-timer.ts';
import { usePage } from '../shell/context.ts';
import { createResultList, type ResultFilter } from './result-list.ts';
import { ResultRow } from './result-row.ts';
import { failureOf, indexOf } from './show-texts.ts';

export interface ResultsProps {
  readonly batchId: string;
  readonly hasEnded: boolean;
  readonly filter: ResultFilter;
  readonly onFilter: (change: Partial<ResultFilter>) => void;
}

const lookMs = 2000;
const typingMs = 300;

const choices = [
  [undefined, 'All'],
  ['completed', 'Done'],
  ['failed', 'Failed'],
] as const;

/** The results of a batch as they come, prompt beside answer. */
export const Results = ({ batchId, hasEnded, filter, onFilter }: ResultsProps) => {
  const { client } = usePage();
  const list = useMemo(() => createResultList(client, batchId), [client, batchId]);
  const search = useRef<HTMLInputElement>(null);
  const rows = useRef<HTMLUListElement>(null);
  const typing = useRef<ReturnType<typeof setTimeout>>(undefined);
  useSearchKey(search);
  useEffect(() => () => list.stop(), [list]);
  // At its end a batch has files, in which its results are in order.
  useEffect(() => void list.show(filter), [list, filter, hasEnded]);
  useTimer(async () => hasEnded || list.lookForNew(), lookMs);

  /** Moves to the next failure after the row that has the focus, and loads more until there is one. */
  const goToNextFailed = async (): Promise<void> => {
    const focused = [...(rows.current?.children ?? [])].findIndex((row) => row.contains(document.activeElement));
    for (;;) {
      const found = list.results.value.findIndex((result, i) => i > focused && failureOf(result) !== undefined);
      if (found !== -1) {
        const row = rows.current?.children[found];
        row?.scrollIntoView({ block: 'center' });
        return row?.querySelector('button')?.focus();
      }
      if (!list.hasMore.value && !list.isLoading.value) return;
      await list.loadMore();
      await new Promise(requestAnimationFrame);
    }
  };

  const results = list.results.value;
  const isNarrowed = filter.status !== undefined || filter.code !== undefined || Boolean(filter.search);
  return html`
    <h2 id="results-title">Results</h2>
    <div class="filters" role="search">
      <input
        ref=${search}
        type="search"
        placeholder="Search answers and ids"
        aria-label="Search results"
        aria-keyshortcuts="/"
        maxlength="200"
        onInput=${() => {
          clearTimeout(typing.current);
          typing.current = setTimeout(() => onFilter({ search: search.current?.value.trim() || undefined }), typingMs);
        }}
      />
      <div class="choices" role="group" aria-label="Which results">
        ${choices.map(
          ([status, word]) =>
            html`<button
              aria-pressed=${filter.status === status && !filter.isFollowing}
              onClick=${() => onFilter({ status, code: undefined, isFollowing: undefined })}
            >
              ${word}
            </button>`,
        )}
        ${
          !hasEnded &&
          html`<button
            aria-pressed=${filter.isFollowing === true}
            onClick=${() => onFilter({ isFollowing: true, status: undefined, code: undefined })}
          >
            As they come
          </button>`
        }
      </div>
      ${
        filter.code !== undefined &&
        html`<button
          class="chip"
          onClick=${() => onFilter({ code: undefined })}
          aria-label=${`Failed with ${filter.code}. Show all failures`}
        >
          ${filter.code} ×
        </button>`
      }
      <button onClick=${() => void goToNextFailed()}>Next failed</button>
    </div>
    ${list.problem.value !== undefined && html`<p class="problem" role="alert">${list.problem.value}</p>`}
    ${
      results.length > 0 &&
      html`<div class="result-head muted" aria-hidden="true">
        <span>Id</span><span>Prompt</span><span>Answer</span>
      </div>`
    }
    <ul class="results" ref=${rows} aria-label="Results">
      ${results.map(
        (result) =>
          html`<${ResultRow}
            key=${result.id}
            result=${result}
            request=${list.requests.value.get(indexOf(result))}
            onWhole=${() => void list.loadWhole(indexOf(result)).catch(() => {})}
          />`,
      )}
    </ul>
    <p class="more" role="status">
      ${
        list.isLoading.value
          ? html`<span class="muted">Loading …</span>`
          : results.length === 0
            ? html`<span class="muted"
                >${isNarrowed ? 'No result matches.' : hasEnded ? 'There are no results.' : 'No results yet: they appear here as they come.'}</span
              >`
            : html`<span class="muted"
                >${formatCount(results.length)} shown${list.hasMore.value ? '' : ', these are all so far'}</span
              >`
      }
      ${list.hasMore.value && !list.isLoading.value && html` <button onClick=${() => void list.loadMore()}>Show more</button>`}
    </p>
  `;
};
