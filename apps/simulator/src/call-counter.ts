import { hash } from 'node:crypto';

/** Counts how often each name has been seen. */
export interface CallCounter {
  /** 1 for a name seen for the first time, or forgotten since. */
  count(name: string): number;
}

/** @param capacity most names remembered. The one seen longest ago is forgotten first, so that memory stays bounded. */
export function createCallCounter(capacity: number): CallCounter {
  const counts = new Map<string, number>();
  return {
    count(name) {
      const digest = hash('sha256', name, 'base64');
      const count = (counts.get(digest) ?? 0) + 1;
      counts.delete(digest);
      counts.set(digest, count);
      if (counts.size > capacity) counts.delete(counts.keys().next().value!);
      return count;
    },
  };
}
