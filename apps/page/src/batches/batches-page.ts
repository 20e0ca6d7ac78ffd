import { useEffect, useMemo, useRef, useState } from 'preact/hooks';
import { createRateMeter, formatCount, isTerminal } from '@promptmill/core/display';
import { html } from '../html.ts';
import { AskFirst, type Question } from '../parts/ask-first.ts';
import { useTimer } from '../parts/use-timer.ts';
import { usePage } from '../shell/context.ts';
import { hrefOf } from '../shell/route.ts';
import { createBatchList, type ListFilter } from './batch-list.ts';
import { BatchRow } from './batch-row.ts';
import { type BatchSummary, summarizeForAdmin } from './batch-summary.ts';
import { ListFilters } from './list-filters.ts';
import { useVisibleSpan } from './use-visible-span.ts';

const refreshMs = 2000;
/** So many rows before the end of what is known, more is loaded. */
const aheadRows = 20;

/** How many tokens a second each batch uses, measured while it is on the screen. */
const createTokenMeters = () => {
  const meters = new Map<string, ReturnType<typeof createRateMeter>>();
  return (batches: readonly BatchSummary[]): ReadonlyMap<string, number> => {
    const running = batches.filter(({ status, tokens }) => tokens !== undefined && !isTerminal(status));
    return new Map(
      running.map(({ id, tokens = 0 }) => {
        const meter = meters.get(id) ?? createRateMeter(() => performance.now());
        meters.set(id, meter);
        meter.add(tokens);
        return [id, meter.perSecond()];
      }),
    );
  };
};

/** Every batch, newest first, kept up to date as far as it is on the screen. */
export const BatchesPage = () => {
  const { client, caller } = usePage();
  const list = useMemo(() => createBatchList(client, Date.now), [client]);
  const measure = useMemo(createTokenMeters, [client]);
  const element = useRef<HTMLUListElement>(null);
  const [filter, setFilter] = useState<ListFilter>({ status: '', search: '', tenant: undefined });
  const [question, setQuestion] = useState<Question | undefined>(undefined);
  const { items, hasMore } = list.known.value;
  const { rowHeight, span } = useVisibleSpan(element, items.length);
  const shown = items.slice(span.first, span.end);
  const tokens = useMemo(() => measure(shown), [list.known.value, span.first, span.end]);
  const nowSeconds = useMemo(() => Date.now() / 1000, [list.known.value]);

  useEffect(() => {
    document.title = 'Batches · Promptmill';
    return list.stop;
  }, [list]);
  useEffect(() => void list.show(filter), [list, filter]);
  useEffect(() => {
    if (span.end > 0 && items.length - span.end < aheadRows) void list.loadMore();
  }, [span.end, items.length, hasMore]);
  useTimer(() => list.refresh(span), refreshMs);

  const cancel = ({ id, tenant }: BatchSummary): void =>
    setQuestion({
      title: `Cancel this batch of ${tenant}?`,
      text: 'No further call is made for it. Calls in flight may end, and what is done is kept for its owner.',
      act: 'Cancel the batch',
      isHarmful: true,
      onAct: async () => list.update(summarizeForAdmin(await client.cancelBatchOfAny(id))),
    });

  const isNarrowed = filter.status !== '' || filter.search !== '';
  const count = `${formatCount(items.length)}${hasMore ? '+' : ''} ${items.length === 1 ? 'batch' : 'batches'}`;
  return html`
    <div class="head">
      <h1>Batches</h1>
      <p class="muted" role="status">${list.isLoading.value ? 'Loading …' : count}</p>
      <a class="button primary" href=${hrefOf({ name: 'new-batch' })}>New batch</a>
    </div>
    <${ListFilters}
      filter=${filter}
      isAdmin=${caller.admin}
      onChange=${(change: Partial<ListFilter>) => setFilter((before) => ({ ...before, ...change }))}
    />
    ${list.problem.value !== undefined && html`<p class="problem" role="alert">${list.problem.value}</p>`}
    <div class="columns" aria-hidden="true">
      <span>Batch</span><span>Status</span><span>Progress</span><span class="number">Rate</span>
      <span class="number">Time</span><span class="number">Cost</span><span class="number">Created</span>
    </div>
    <ul class="rows" ref=${element} style=${{ height: `${items.length * rowHeight}px` }} aria-label="Batches">
      ${shown.map(
        (batch, i) =>
          html`<${BatchRow}
            key=${batch.id}
            batch=${batch}
            top=${(span.first + i) * rowHeight}
            position=${span.first + i + 1}
            tokensPerSecond=${tokens.get(batch.id) ?? 0}
            nowSeconds=${nowSeconds}
            onCancel=${cancel}
          />`,
      )}
    </ul>
    ${items.length === 0 && !hasMore && html`<${Empty} isNarrowed=${isNarrowed} />`}
    ${question && html`<${AskFirst} question=${question} onClose=${() => setQuestion(undefined)} />`}
  `;
};

const Empty = ({ isNarrowed }: { readonly isNarrowed: boolean }) =>
  isNarrowed
    ? html`<p class="empty">No batch matches.</p>`
    : html`<div class="empty">
        <p>No batches yet. <a href=${hrefOf({ name: 'new-batch' })}>Make one here</a>, or submit a file of prompts:</p>
        <pre><code>bin/promptmill submit prompts.txt --model simulator/echo</code></pre>
        <p class="muted">or <code>POST /v1/batches</code>, described at <a href="/docs">/docs</a>.</p>
      </div>`;
