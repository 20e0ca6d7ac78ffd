/**
 * A request that lost this many workers runs in quarantine. When it loses one more there, it is the cause. Workers that
 * were lost before they called, as when Redis is away, do not count against it.
 */
export const suspectAfter = 2;

/**
 * Runs a request that has lost several workers, and no other such request beside it in this process. If the process
 * dies too, this request is the cause, and requests that only ran beside it before are not blamed.
 */
export const createQuarantine = () => {
  let isTaken = false;
  return {
    /** `taken` while another request runs in it. */
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
