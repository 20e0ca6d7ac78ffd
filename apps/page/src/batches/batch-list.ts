import { signal } from '@preact/signals';
import type { ApiClient, ListQuery } from '../api/api-client.ts';
import { messageOf } from '../api/api-error.ts';
import { type BatchSummary, summarize, summarizeForAdmin } from './batch-summary.ts';
import { type Known, replaceSlice } from './replace-slice.ts';

/** What the list is narrowed to. */
export interface ListFilter {
  /** Statuses with commas between them; empty: any. */
  readonly status: string;
  readonly search: string;
  /** The tenant whose batches are listed, for admins. Undefined: the caller. */
  readonly tenant: string | undefined;
}

/** Which items are on the screen, by their number: `first` up to before `end`. */
export interface Span {
  readonly first: number;
  readonly end: number;
}

const pageSize = 50;
/** The API gives 100 at most. */
const maxRefreshed = 100;
const nothing: Known<BatchSummary> = { items: [], hasMore: true };

/**
 * The batches that are known so far, newest first. More are loaded as people scroll, and those on the screen are asked for
 * again and again, all in one call: a stream of events for each of them would take more connections than a browser opens.
 */
export const createBatchList = (client: ApiClient, now: () => number) => {
  const known = signal(nothing);
  const isLoading = signal(false);
  const problem = signal<string | undefined>(undefined);
  /** How many calls found too little: the API looks at so many batches a call, and not all of them match. */
  let filter: ListFilter = { status: '', search: '', tenant: undefined };
  let current = new AbortController();
  let searchedTo: string | undefined;

  const list = async (query: ListQuery, signal: AbortSignal) => {
    const { tenant, status, search } = filter;
    const asked = { ...query, status, search };
    if (tenant !== undefined) {
      const page = await client.listBatchesOf(tenant, asked, signal);
      return { ...page, data: page.data.map(summarizeForAdmin) };
    }
    const page = await client.listBatches(asked, signal);
    return { ...page, data: page.data.map((batch) => summarize(batch, now() / 1000)) };
  };

  /** Runs a step unless the filter changes meanwhile. Its failure is shown, and the next step may succeed. */
  const attempt = async (step: (signal: AbortSignal) => Promise<void>): Promise<void> => {
    const { signal } = current;
    try {
      await step(signal);
      problem.value = undefined;
    } catch (error) {
      if (!signal.aborted) problem.value = messageOf(error);
    }
  };

  const loadMore = async (): Promise<void> => {
    if (isLoading.value || !known.value.hasMore) return;
    isLoading.value = true;
    const { signal } = current;
    await attempt(async () => {
      const enough = known.value.items.length + pageSize;
      while (known.value.hasMore && known.value.items.length < enough) {
        const page = await list({ after: searchedTo, limit: pageSize }, signal);
        if (signal.aborted) return;
        searchedTo = page.last_id ?? searchedTo;
        const shown = new Set(known.value.items.map(({ id }) => id));
        const items = [...known.value.items, ...page.data.filter(({ id }) => !shown.has(id))];
        known.value = { items, hasMore: page.has_more };
      }
    });
    if (!signal.aborted) isLoading.value = false;
  };

  return {
    known,
    isLoading,
    problem,
    loadMore,
    /** Starts again with another filter. */
    async show(next: ListFilter): Promise<void> {
      current.abort();
      current = new AbortController();
      filter = next;
      searchedTo = undefined;
      known.value = nothing;
      isLoading.value = false;
      await loadMore();
    },
    /** Asks again for what is on the screen. At the top, new batches come in. */
    refresh: ({ first, end }: Span): Promise<void> =>
      attempt(async (signal) => {
        const { items } = known.value;
        const after = first === 0 ? undefined : items[first - 1]?.id;
        const limit = Math.min(maxRefreshed, Math.max(10, end - first));
        const page = await list({ after, limit }, signal);
        if (signal.aborted || isLoading.value) return;
        known.value = replaceSlice(known.value, after, { items: page.data, hasMore: page.has_more });
        if (known.value.items.length < items.length || searchedTo === undefined)
          searchedTo = known.value.items.at(-1)?.id ?? page.last_id ?? undefined;
      }),
    /** A batch was changed: it shows at once what it is now. */
    update(batch: BatchSummary): void {
      const { items, hasMore } = known.value;
      known.value = { items: items.map((each) => (each.id === batch.id ? batch : each)), hasMore };
    },
    stop: () => current.abort(),
  };
};
