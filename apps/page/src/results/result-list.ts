import { signal } from '@preact/signals';
import type { ApiClient } from '../api/api-client.ts';
import type { RequestLine, ResultLine } from '../api/answers.ts';
import { messageOf } from '../api/api-error.ts';
import { indexOf } from './show-texts.ts';

/** Which results are shown. Default: all. */
export interface ResultFilter {
  readonly status?: 'completed' | 'failed' | undefined;
  readonly code?: string | undefined;
  readonly search?: string | undefined;
  /** Only those that come from now on, the newest first. */
  readonly isFollowing?: boolean | undefined;
}

const pageSize = 50;
/** The API takes so many at once. */
const requestsAtOnce = 20;
/** While a batch runs, results come in by themselves up to so many; then people ask for more. */
const mostByItself = 200;
const mostFollowed = 100;

/** The results of one batch, as far as they are loaded, and the prompts that belong to them. */
export const createResultList = (client: ApiClient, batchId: string) => {
  const results = signal<readonly ResultLine[]>([]);
  const requests = signal<ReadonlyMap<number, RequestLine>>(new Map());
  const hasMore = signal(false);
  const isLoading = signal(false);
  const problem = signal<string | undefined>(undefined);
  let filter: ResultFilter = {};
  let next: string | undefined;
  let current = new AbortController();
  let reading = Promise.resolve();

  /** Loads the prompts of results. One that cannot be had is not shown. */
  const loadRequests = async (found: readonly ResultLine[], signal: AbortSignal): Promise<void> => {
    const missing = found.map(indexOf).filter((index) => !requests.value.has(index));
    for (let first = 0; first < missing.length; first += requestsAtOnce) {
      const lines = await client.listRequests(batchId, missing.slice(first, first + requestsAtOnce), signal);
      requests.value = new Map([...requests.value, ...lines.map((line) => [line.index, line] as const)]);
    }
  };

  const take = (found: readonly ResultLine[]): void => {
    // A result may, seldom, come twice.
    const known = new Set(results.value.map(({ id }) => id));
    const fresh = found.filter(({ id }) => !known.has(id));
    results.value = filter.isFollowing
      ? [...fresh.toReversed(), ...results.value].slice(0, mostFollowed)
      : [...results.value, ...fresh];
  };

  /** Reads on until there are so many more results, or no more. */
  const readOn = async (wanted: number): Promise<void> => {
    isLoading.value = true;
    const { signal } = current;
    const { status, code, search } = filter;
    try {
      for (let left = wanted; left > 0;) {
        const query = { after: next, limit: Math.min(left, pageSize), status, error_code: code, search };
        const page = await client.listResults(batchId, query, signal);
        take(page.data);
        ({ next } = page);
        hasMore.value = page.has_more;
        problem.value = undefined;
        left -= page.data.length;
        void loadRequests(page.data, signal).catch(() => {});
        if (!page.has_more) break;
      }
    } catch (error) {
      if (!signal.aborted) problem.value = messageOf(error);
    }
    if (!signal.aborted) isLoading.value = false;
  };

  /** While it reads already, this is the end of that. */
  const read = (wanted: number): Promise<void> => {
    if (!isLoading.value) reading = readOn(wanted);
    return reading;
  };

  return {
    results,
    requests,
    hasMore,
    isLoading,
    problem,
    /** Starts again with another filter. */
    async show(wanted: ResultFilter): Promise<void> {
      current.abort();
      current = new AbortController();
      filter = wanted;
      next = wanted.isFollowing ? 'end' : undefined;
      results.value = [];
      hasMore.value = false;
      isLoading.value = false;
      await read(pageSize);
    },
    loadMore: (): Promise<void> => read(pageSize),
    /** Looks for results that have come meanwhile. */
    async lookForNew(): Promise<void> {
      if (filter.isFollowing) await read(mostFollowed);
      else if (!hasMore.value && results.value.length < mostByItself) await read(pageSize);
    },
    /** The whole line of a request, where it was too large to come with others. */
    async loadWhole(index: number): Promise<void> {
      const [line] = await client.listRequests(batchId, [index], current.signal);
      if (line) requests.value = new Map([...requests.value, [index, line]]);
    },
    stop: () => current.abort(),
  };
};
