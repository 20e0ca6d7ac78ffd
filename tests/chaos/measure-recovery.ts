import type { AppliedFault } from './apply-fault.ts';
import { type Fleet, isProcessFault } from './plan-faults.ts';
import type { Progress, Span } from './watch-progress.ts';

const isWithin = (atMs: number, { fromMs, toMs }: Span): boolean => atMs >= fromMs && atMs < toMs;

/** When nothing could be recorded, whatever Promptmill did: all that is shared was away, or every worker was. */
const outagesOf = (faults: readonly AppliedFault[], fleet: Fleet): Span[] => {
  const world = faults.filter(({ planned }) => !isProcessFault(planned));
  const away = faults.filter(({ planned }) => isProcessFault(planned) && planned.target.role === 'worker');
  const spans = away.map(({ fromMs, healedMs }) => ({ fromMs, toMs: healedMs }));
  const allAway = spans.flatMap(({ fromMs }) => {
    const others = spans.filter((span) => isWithin(fromMs, span));
    return others.length < fleet.worker ? [] : [{ fromMs, toMs: Math.min(...others.map(({ toMs }) => toMs)) }];
  });
  return [...world.map(({ fromMs, healedMs }) => ({ fromMs, toMs: healedMs })), ...allAway];
};

/**
 * Milliseconds from a fault's end to the next recorded result, or for which one was due and did not come; undefined when
 * none was due. A fault that ends during an outage is over when that is.
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
