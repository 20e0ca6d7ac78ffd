import type { BatchObject } from '@promptmill/core';
import type { Screen } from '../terminal.ts';
import { progressBar, progressText } from './progress-line.ts';
import { createRateMeter } from './rate-meter.ts';

export interface ProgressOptions {
  readonly screen: Screen;
  /** Milliseconds of a clock that only goes forward. */
  readonly now: () => number;
}

const plainIntervalMs = 5000;
const drawIntervalMs = 100;
const redrawIntervalMs = 1000;
const defaultColumns = 80;

/** Shows a batch's progress: on a terminal one line that is kept up to date, elsewhere a new line at most every 5 s. */
export const createProgress = ({ screen, now }: ProgressOptions) => {
  const meter = createRateMeter(now);
  let batch: BatchObject | undefined;
  let writtenAtMs = -Infinity;
  let written = '';

  const draw = (): void => {
    if (!batch) return;
    const state = { batch, perSecond: meter.perSecond() };
    const text = screen.isTTY ? progressBar(state, screen.columns ?? defaultColumns) : progressText(state);
    writtenAtMs = now();
    if (text === written) return;
    written = text;
    if (screen.isTTY) screen.redraw(text);
    else screen.write(`${text}\n`);
  };
  // Without an update the rate must fall too: the batch stands still.
  const redraw = screen.isTTY ? setInterval(draw, redrawIntervalMs) : undefined;
  redraw?.unref();

  return {
    update: (next: BatchObject): void => {
      // A batch has no requests until its input is checked, and none when its input is refused.
      if (next.request_counts.total === 0) return;
      batch = next;
      meter.add(next.request_counts.completed + next.request_counts.failed);
      if (now() - writtenAtMs >= (screen.isTTY ? drawIntervalMs : plainIntervalMs)) draw();
    },
    /** Shows the last state, and leaves it on the screen. */
    end: (): void => {
      clearInterval(redraw);
      draw();
      if (screen.isTTY && written !== '') screen.write('\n');
    },
  };
};
