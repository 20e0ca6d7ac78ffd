import { type BatchSnapshot, type DispatchedRequests, lookAtStates } from '@promptmill/queue';

/**
 * Why no lane gets a request: it waits for a copy; a batch API has it; it has a copy, or a result of a batch API; or it has a
 * result of its own, whose cursor Redis has lost.
 */
export type SkipReason = 'repeat' | 'handed off' | 'copy' | 'settled';

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
  if (settledBeyond === 0 && state.repeats === 0 && !state.handedOff) return () => Promise.resolve(undefined);
  const stateOf = lookAtStates(requests, id);
  let { copiedAhead } = state;
  return async (index) => {
    const found = await stateOf(index);
    if (found.isHandedOff) return 'handed off';
    if (!found.isSettled) return found.isRepeat ? 'repeat' : undefined;
    return copiedAhead-- > 0 ? 'copy' : 'settled';
  };
};
