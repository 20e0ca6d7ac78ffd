import { formatCount } from '@promptmill/core/display';
import type { ProgressOptions } from './progress.ts';
import { createStatusLine } from './status-line.ts';

/** Shorter steps than this are not shown. */
const firstAfterMs = { terminal: 500, plain: 10_000 };

/** Shows steps without calls, which take a while with a long input: reading and checking it, sending it, writing results. */
export const createStepProgress = ({ screen, now }: ProgressOptions) => {
  const line = createStatusLine({ screen, now, firstAfterMs });
  return {
    /** Says how far a step has come: `checking the input: 312,000 requests`. */
    show: (text: string): void =>
      line.show((columns) => text.slice(0, columns === undefined ? undefined : columns - 1)),
    /** Removes the line from a terminal. */
    end: (): void => line.remove(),
  };
};

/** `45 %`, or the count alone when nobody knows of how many. */
export const shareText = (done: number, total: number): string =>
  total > 0 ? `${Math.floor((Math.min(done, total) / total) * 100)} %` : formatCount(done);
