import type { BatchObject } from '@promptmill/core';
import type { Screen } from '../terminal.ts';
import { progressBar, progressText, waitOf } from './progress-line.ts';
import { createRateMeter } from '@promptmill/core/display';
import { createStatusLine } from './status-line.ts';

export interface ProgressOptions {
  readonly screen: Screen;
  /** Milliseconds of a clock that only goes forward. */
  readonly now: () => number;
}

export interface BatchProgressOptions extends ProgressOptions {
  /** What to type so that a batch that waits goes on; undefined when it does so by itself. */
  readonly nextStep: (batch: BatchObject) => string | undefined;
}

/** Shows a batch's progress: on a terminal one line that is kept up to date, elsewhere a new line every 10 s. */
export const createProgress = ({ screen, now, nextStep }: BatchProgressOptions) => {
  const line = createStatusLine({ screen, now });
  const requests = createRateMeter(now);
  const tokens = createRateMeter(now);
  let saidWhy: string | undefined;
  let saidNext: string | undefined;

  /** A terminal's line has no room for all that a provider says, so that stands above the line, once. */
  const sayWhy = (batch: BatchObject): void => {
    const wait = waitOf(batch);
    const why = wait?.why === undefined ? undefined : `${wait.what}: ${wait.why}`;
    if (why !== undefined && why !== saidWhy && screen.canRedraw) screen.write(`${why}\n`);
    saidWhy = why;
    const next = nextStep(batch);
    if (next !== undefined && next !== saidNext) screen.write(`next: ${next}\n`);
    saidNext = next;
  };

  return {
    update: (batch: BatchObject): void => {
      // A batch has no requests until its input is checked, and none when its input is refused.
      if (batch.request_counts.total === 0) return;
      requests.add(batch.request_counts.completed + batch.request_counts.failed);
      tokens.add(batch.usage.total_tokens);
      sayWhy(batch);
      line.show((columns) => {
        const state = { batch, perSecond: requests.perSecond(), tokensPerSecond: tokens.perSecond() };
        return columns === undefined ? progressText(state) : progressBar(state, columns);
      });
    },
    /** Shows the last state, and leaves it on the screen. */
    end: (): void => line.leave(),
  };
};
