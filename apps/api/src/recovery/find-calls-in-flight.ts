import { createSeenBatches } from '../seen-batches.ts';

/**
 * Whether calls for a batch that was stopped may still be in flight. What gets into work after the stop is dropped, so
 * only the jobs that are in work at the first look count; the thousands that are dropped meanwhile are not waited for.
 *
 * @param jobsInWork the ids of a batch's jobs that are in work, in the lanes named or in any other
 */
export const createFindCallsInFlight = (
  jobsInWork: (batchId: string, lanes: readonly string[]) => Promise<readonly string[]>,
) => {
  const seen = createSeenBatches<ReadonlySet<string>>();
  return async (batchId: string, lanes: readonly string[]): Promise<boolean> => {
    const inWork = await jobsInWork(batchId, lanes);
    const before = seen.get(batchId);
    const left = before ? inWork.filter((id) => before.has(id)) : inWork;
    if (left.length > 0) seen.note(batchId, new Set(left));
    else seen.forget(batchId);
    return left.length > 0;
  };
};
