import type { BatchSnapshot, DispatchedRequests } from '@promptmill/queue';

/** Why no lane gets a request: it waits for a copy, has one, or has a result of its own, whose cursor Redis has lost. */
export type SkipReason = 'repeat' | 'copy' | 'settled';

/** States that are read at once: 512 bytes. */
const statesAtOnce = 4096;

/**
 * Says of a batch's requests after its cursor, in order, why no lane gets them; undefined when one does.
 *
 * @param settledBeyond how many of them have a result
 */
export const lookAtSkipped = (
  requests: Pick<DispatchedRequests, 'states'>,
  { batch: { id }, state }: BatchSnapshot,
  settledBeyond: number,
): ((index: number) => Promise<SkipReason | undefined>) => {
  if (settledBeyond === 0 && state.repeats === 0) return () => Promise.resolve(undefined);
  let first = 0;
  let states: Awaited<ReturnType<DispatchedRequests['states']>> = [];
  let { copiedAhead } = state;
  return async (index) => {
    if (index < first || index >= first + states.length)
      [first, states] = [index, await requests.states(id, index, statesAtOnce)];
    const found = states[index - first];
    if (!found?.isSettled) return found?.isRepeat ? 'repeat' : undefined;
    return copiedAhead-- > 0 ? 'copy' : 'settled';
  };
};
