import { useEffect, useState } from 'preact/hooks';
import type { Span } from './batch-list.ts';

/** Rows above and below the screen that are there already when people scroll to them. */
const spareRows = 6;

/** Which of `count` rows of the same height are on the screen, or nearly. */
export const spanOf = (listTop: number, rowHeight: number, screenHeight: number, count: number): Span => {
  const first = Math.max(0, Math.floor(-listTop / rowHeight) - spareRows);
  const end = Math.min(count, Math.ceil((screenHeight - listTop) / rowHeight) + spareRows);
  return { first: Math.min(first, count), end: Math.max(end, Math.min(first, count)) };
};

/** Follows scrolling. The height of a row is the style's `--row`, so that it may differ on a phone. */
export const useVisibleSpan = (list: { readonly current: HTMLElement | null }, count: number) => {
  const [place, setPlace] = useState({ rowHeight: 64, span: { first: 0, end: 0 } });
  useEffect(() => {
    const look = (): void => {
      const element = list.current;
      if (!element) return;
      const rowHeight = Number.parseFloat(getComputedStyle(element).getPropertyValue('--row')) || 64;
      const span = spanOf(element.getBoundingClientRect().top, rowHeight, window.innerHeight, count);
      setPlace((before) =>
        before.rowHeight === rowHeight && before.span.first === span.first && before.span.end === span.end
          ? before
          : { rowHeight, span },
      );
    };
    look();
    window.addEventListener('scroll', look, { passive: true });
    window.addEventListener('resize', look);
    return () => {
      window.removeEventListener('scroll', look);
      window.removeEventListener('resize', look);
    };
  }, [count]);
  return place;
};
