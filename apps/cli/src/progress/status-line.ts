import type { Screen } from '../terminal.ts';

export interface StatusLineOptions {
  readonly screen: Screen;
  /** Milliseconds of a clock that only goes forward. */
  readonly now: () => number;
  /** Default: the first text is shown at once. */
  readonly firstAfterMs?: { readonly terminal: number; readonly plain: number };
}

/** The text of a line for a terminal with so many columns, or without a limit. */
type Render = (columns: number | undefined) => string;

const plainIntervalMs = 10_000;
const drawIntervalMs = 100;
const redrawIntervalMs = 1000;
const defaultColumns = 80;
const atOnce = { terminal: 0, plain: 0 };

/** Shows how something goes: on a terminal one line that is kept up to date, elsewhere a new line every 10 s. */
export const createStatusLine = ({ screen, now, firstAfterMs = atOnce }: StatusLineOptions) => {
  const { canRedraw } = screen;
  const intervalMs = canRedraw ? drawIntervalMs : plainIntervalMs;
  let render: Render | undefined;
  let nextAtMs = now() + (canRedraw ? firstAfterMs.terminal : firstAfterMs.plain);
  let isShown = false;
  let hasChanged = false;

  const draw = (): void => {
    if (!render) return;
    nextAtMs = now() + intervalMs;
    isShown = true;
    hasChanged = false;
    if (canRedraw) screen.redraw(render(screen.columns ?? defaultColumns));
    else screen.write(`${render(undefined)}\n`);
  };
  const drawWhenDue = (): void => {
    if (now() >= nextAtMs) draw();
  };
  // Without news the line changes too: a rate falls, and a log shows that the process lives.
  const timer = setInterval(drawWhenDue, canRedraw ? redrawIntervalMs : plainIntervalMs);
  timer.unref();
  const stopListening = canRedraw ? screen.onResize(draw) : undefined;

  const stop = (): void => {
    clearInterval(timer);
    stopListening?.();
  };

  return {
    show(next: Render): void {
      render = next;
      hasChanged = true;
      drawWhenDue();
    },
    /** Removes the line from a terminal. */
    remove(): void {
      stop();
      if (isShown && canRedraw) screen.redraw('');
    },
    /** Shows the last text, and leaves it on the screen. */
    leave(): void {
      stop();
      if (!render || !(hasChanged || canRedraw)) return;
      if (canRedraw) screen.redraw('');
      screen.write(`${render(canRedraw ? (screen.columns ?? defaultColumns) : undefined)}\n`);
    },
  };
};
