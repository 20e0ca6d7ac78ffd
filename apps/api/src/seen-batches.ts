/** Beyond this number the batch that was noted longest ago is forgotten. */
const maxBatches = 20_000;

/** What a process remembers of each batch from one look to the next, in bounded memory. */
export const createSeenBatches = <T>(max = maxBatches) => {
  const seen = new Map<string, T>();
  return {
    get: (id: string): T | undefined => seen.get(id),
    note(id: string, what: T): void {
      seen.delete(id);
      seen.set(id, what);
      if (seen.size > max) seen.delete(seen.keys().next().value ?? '');
    },
    forget(id: string): void {
      seen.delete(id);
    },
  };
};
