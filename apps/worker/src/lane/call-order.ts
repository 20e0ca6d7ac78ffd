interface OrderedCall {
  readonly isLive: boolean;
}

/** Sums of shares are not exact. */
const tolerance = 1e-9;

/**
 * The order in which calls that wait go: live calls first, as long as batch requests that wait too get their share.
 *
 * @param liveShare what live calls may take while batch requests wait too, between 0 and 1
 */
export const createCallOrder = (liveShare: number) => {
  /** What live calls have taken of the batch requests' share, in calls. */
  let owed = 0;

  const owedAfter = (before: number, { isLive }: OrderedCall): number =>
    isLive ? Math.min(1, before + 1 - liveShare) : Math.max(0, before - liveShare);

  /** Whether the next call is to be a batch request's, where both kinds wait. */
  const isBatchsTurn = (owedThen = owed): boolean => owedThen >= liveShare - tolerance;

  return {
    isBatchsTurn: (): boolean => isBatchsTurn(),

    /** The next of the calls that wait, `most` of them. */
    next<T extends OrderedCall>(waiting: readonly T[], most: number): T[] {
      const next: T[] = [];
      const [live, batch] = [waiting.filter(({ isLive }) => isLive), waiting.filter(({ isLive }) => !isLive)];
      let owedThen = owed;
      while (next.length < most) {
        const takesBatch = live.length === 0 || (batch.length > 0 && isBatchsTurn(owedThen));
        const call = (takesBatch ? batch : live).shift();
        if (!call) break;
        next.push(call);
        owedThen = owedAfter(owedThen, call);
      }
      return next;
    },

    /** Says that a call goes. */
    note(call: OrderedCall): void {
      owed = owedAfter(owed, call);
    },
  };
};
