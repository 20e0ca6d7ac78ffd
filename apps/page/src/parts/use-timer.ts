import { useEffect, useRef } from 'preact/hooks';

/** Runs a step, and again some time after its end, for as long as the view is there and its tab can be seen. */
export const useTimer = (step: () => Promise<unknown>, everyMs: number): void => {
  const latest = useRef(step);
  latest.current = step;
  useEffect(() => {
    let timer: ReturnType<typeof setTimeout> | undefined;
    let isGone = false;
    const turn = async (): Promise<void> => {
      if (!document.hidden) await latest.current().catch(() => {});
      if (!isGone) timer = setTimeout(() => void turn(), everyMs);
    };
    const lookNow = (): void => {
      if (document.hidden || timer === undefined) return;
      clearTimeout(timer);
      timer = undefined;
      void turn();
    };
    timer = setTimeout(() => void turn(), everyMs);
    document.addEventListener('visibilitychange', lookNow);
    return () => {
      isGone = true;
      clearTimeout(timer);
      document.removeEventListener('visibilitychange', lookNow);
    };
  }, [everyMs]);
};
