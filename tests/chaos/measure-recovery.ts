import type { AppliedFault } from './apply-fault.ts';
import { type Fleet, isProcessFault } from './plan-faults.ts';
import type { Progress, Span } from './watch-progress.ts';

const isWithin = (atMs: number, { fromMs, toMs }: Span): boolean => atMs >= fromMs && atMs < toMs;

/** The times in which nothing could be recorded: Redis or the provider had a fault, or every worker was away. */
const outagesOf = (faults: readonly AppliedFault[], fleet: Fleet): Span[] => {
  const shared = faults.filter(({ planned }) => !isProcessFault(planned));
  const away = faults.filter(({ planned }) => isProcessFault(planned) && planned.target.role === 'worker');
  const spans = away.map(({ fromMs, healedMs }) => ({ fromMs, toMs: healedMs }));
  const allAway = spans.flatMap(({ fromMs }) => {
    const others = spans.filter((span) => isWithin(fromMs, span));
    return others.length < fleet.worker ? [] : [{ fromMs, toMs: Math.min(...others.map(({ toMs }) => toMs)) }];
  });
  return [...shared.map(({ fromMs, healedMs }) => ({ fromMs, toMs: healedMs })), ...allAway];
};

/**
 * Measures the milliseconds from a fault's end to the next recorded result, or for how long one was due if none came;
 * undefined when none was due. For a fault that ends during an outage, the time begins at the end of the outage.
 */
export const createMeasureRecovery = (
  faults: readonly AppliedFault[],
  fleet: Fleet,
  { progressMs, due }: Pick<Progress, 'progressMs' | 'due'>,
) => {
  const outages = outagesOf(faults, fleet);
  return ({ toMs }: AppliedFault): number | undefined => {
    let fromMs = toMs;
    for (;;) {
      const outage = outages.find((span) => isWithin(fromMs, span));
      if (!outage) break;
      fromMs = outage.toMs;
    }
    const next = progressMs.find((atMs) => atMs >= fromMs) ?? Infinity;
    const span = due.find((span) => isWithin(fromMs, span));
    return span && Math.min(next, span.toMs) - fromMs;
  };
};

/** The longest time in which results were due and none came. */
export const longestStandstill = ({ progressMs, due }: Pick<Progress, 'progressMs' | 'due'>): Span => {
  let longest: Span = { fromMs: 0, toMs: 0 };
  for (const { fromMs, toMs } of due) {
    const within = [fromMs, ...progressMs.filter((atMs) => isWithin(atMs, { fromMs, toMs })), toMs];
    for (const [i, atMs] of within.entries()) {
      const before = within[i - 1] ?? atMs;
      if (atMs - before > longest.toMs - longest.fromMs) longest = { fromMs: before, toMs: atMs };
    }
  }
  return longest;
};
