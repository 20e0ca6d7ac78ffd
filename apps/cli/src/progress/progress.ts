import type { BatchObject } from '@promptmill/core';
import { progressBar, progressText } from './progress-line.ts';
import { createRateMeter } from './rate-meter.ts';

/** Where people look: standard error, a terminal or not. */
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

/** Shows how a batch is doing: one line kept up to date on a terminal, elsewhere a plain line every 5 s at most. */
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
  // A batch that has come to a halt must not keep the rate it had.
  const redraw = screen.isTTY ? setInterval(draw, redrawIntervalMs) : undefined;
  redraw?.unref();

  return {
    update: (next: BatchObject): void => {
      // Before its input is checked, and when that is refused, a batch has no requests to tell of.
      if (next.request_counts.total === 0) return;
      batch = next;
      meter.add(next.request_counts.completed + next.request_counts.failed);
      if (now() - writtenAtMs >= (screen.isTTY ? drawIntervalMs : plainIntervalMs)) draw();
    },
    /** Shows what came last, and leaves it standing. */
    end: (): void => {
      clearInterval(redraw);
      draw();
      if (screen.isTTY && written !== '') screen.write('\n');
    },
  };
};
