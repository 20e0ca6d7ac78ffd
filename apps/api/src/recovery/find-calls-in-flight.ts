import { createSeenBatches } from '../seen-batches.ts';

/**
 * Tells whether calls of a stopped batch may still be in flight. Workers drop the jobs they take after the stop. So only
 * the jobs that are in work at the first look count; the thousands that are dropped later are not waited for.
 *
 * @param jobsInWork the ids of the batch's jobs in work, in these lanes or in any other
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
