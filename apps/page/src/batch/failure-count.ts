import { signal } from '@preact/signals';
import type { ApiClient } from '../api/api-client.ts';
import type { FailureGroup } from '../api/answers.ts';
import { mergeFailures } from './merge-failures.ts';

/** Counts what failed, by code, part after part, so that a large batch shows its first failures at once. */
export const createFailureCount = (client: ApiClient, id: string) => {
  const groups = signal<readonly FailureGroup[]>([]);
  const isCounting = signal(false);
  const left = new AbortController();
  let next: string | undefined;
  let countedAtEnd = false;

  return {
    groups,
    isCounting,
    /** Counts on from where it was. What never ran is known only once the batch has ended: then it begins anew. */
    async count(hasEnded: boolean): Promise<void> {
      if (isCounting.value || countedAtEnd) return;
      isCounting.value = true;
      let found = groups.value;
      if (hasEnded) {
        next = undefined;
        found = [];
      }
      try {
        for (let hasMore = true; hasMore; groups.value = found) {
          const part = await client.listFailures(id, next, left.signal);
          found = mergeFailures(found, part.data);
          ({ next } = part);
          hasMore = part.has_more;
        }
        countedAtEnd = hasEnded;
      } finally {
        isCounting.value = false;
      }
    },
    stop: () => left.abort(),
  };
};
