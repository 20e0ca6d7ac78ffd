/** How fast flex answers a batch, and how many of its requests are to step up. */
export interface FlexPace {
  readonly atMs: number;
  /** What flex had answered by then. */
  readonly answers: number;
  /** Answers in a millisecond, lately. */
  readonly rate: number;
  /** Requests that are to step up now. */
  readonly due: number;
}

export interface FlexLook {
  readonly atMs: number;
  readonly answers: number;
  /** Requests that neither have a result nor have stepped up. */
  readonly left: number;
  readonly startedAtMs: number;
  /** When the batch is to be done: its deadline is near from then on. */
  readonly endMs: number;
  /** The pace is measured over this time, in milliseconds. Nothing steps up before it has passed. */
  readonly spanMs: number;
}

/** The batch was paused: the time before a look that is later than this, and than a part of the span, tells nothing. */
const longestGapMs = 10_000;
/** When requests are due and none waits in the lane, no more than those of this time are made up for later. */
const catchUpMs = 5000;

/**
 * What is left must be answered at a certain pace to be done in time. What flex does not give of that pace steps up, each
 * moment anew: so a flex that goes away costs only the requests of that time, and a standard lane that is slower than needed
 * gets more as the end comes nearer.
 */
export const nextPace = (before: FlexPace | undefined, look: FlexLook): FlexPace => {
  const { atMs, answers, left, startedAtMs, endMs, spanMs } = look;
  const elapsedMs = Math.max(1, atMs - startedAtMs);
  if (!before) return { atMs, answers, rate: answers / elapsedMs, due: atMs >= endMs ? left : 0 };
  const passedMs = Math.max(1, atMs - before.atMs);
  const isKnown = passedMs <= Math.max(longestGapMs, spanMs / 4);
  // At first it is the average since the start: a running average from nothing would be too low.
  const weight = isKnown ? Math.max(1 - Math.exp(-passedMs / spanMs), Math.min(1, passedMs / elapsedMs)) : 0;
  const rate = before.rate + weight * ((answers - before.answers) / passedMs - before.rate);
  if (atMs >= endMs) return { atMs, answers, rate, due: left };
  if (elapsedMs < spanMs || !isKnown) return { atMs, answers, rate, due: 0 };
  const needed = left / (endMs - atMs);
  const due = before.due + (needed - rate) * passedMs;
  return { atMs, answers, rate, due: Math.max(0, Math.min(due, Math.max(1, needed * Math.max(catchUpMs, passedMs)))) };
};
