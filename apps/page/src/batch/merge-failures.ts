import type { FailureGroup } from '../api/answers.ts';

/** Adds up what two answers have counted, the most frequent first. The earlier examples stay. */
export const mergeFailures = (
  known: readonly FailureGroup[],
  more: readonly FailureGroup[],
): readonly FailureGroup[] => {
  const groups = new Map(known.map((group) => [group.code, group]));
  for (const group of more) {
    const before = groups.get(group.code);
    groups.set(group.code, before ? { ...before, count: before.count + group.count } : group);
  }
  return [...groups.values()].toSorted((a, b) => b.count - a.count);
};
