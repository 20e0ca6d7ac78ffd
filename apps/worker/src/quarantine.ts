/**
 * Where a request runs whose worker has died with it again and again: with no other like it beside it in the same
 * process. If that process dies too, this request did it, and those that were merely near it before are not counted.
 */
export const createQuarantine = () => {
  let isTaken = false;
  return {
    /** `taken` when another is in it. */
    async run<T>(task: () => Promise<T>): Promise<T | 'taken'> {
      if (isTaken) return 'taken';
      isTaken = true;
      try {
        return await task();
      } finally {
        isTaken = false;
      }
    },
  };
};

export type Quarantine = ReturnType<typeof createQuarantine>;
