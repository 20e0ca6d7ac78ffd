import type { BatchObject } from '@promptmill/core';
import { progressBar, progressText } from './progress-line.ts';
import { createRateMeter } from './rate-meter.ts';

/** Standard error, which may be a terminal. */
export interface Screen {
  write(text: string): unknown;
  readonly isTTY?: boolean;
  readonly columns?: number;
}

export interface ProgressOptions {
  readonly screen: Screen;
  /** Milliseconds of a clock that only goes forward. */
  readonly now: () => number;
}

const plainIntervalMs = 5000;
const drawIntervalMs = 100;
const redrawIntervalMs = 1000;
const defaultColumns = 80;
const clearLine = '\r\u001B[2K';

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
    screen.write(screen.isTTY ? `${clearLine}${text}` : `${text}\n`);
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
