import { PerformanceObserver } from 'node:perf_hooks';
import { getHeapSpaceStatistics, setFlagsFromString } from 'node:v8';

/** The young generation grows no more once it has this size, in bytes. */
const maxYoungBytes = 32 * 1024 * 1024;

const youngBytes = (): number =>
  getHeapSpaceStatistics().find((space) => space.space_name === 'new_space')?.space_size ?? 0;

/**
 * Has V8 collect garbage rather than let the heap grow. On a machine with room V8 lets the young generation grow to 128
 * MiB over time, and the old one to several times what is alive, so that a process takes 370 MiB whatever it holds. Call
 * it at the start of a process. Nothing is capped: a process that holds more gets more.
 */
export const keepHeapSmall = (): void => {
  // The old generation is collected when it has grown by half since the last time.
  setFlagsFromString('--heap-growing-percent=50');
  let growthFactor = 2;
  const growBy = (factor: number): void => {
    if (factor !== growthFactor) setFlagsFromString(`--semi-space-growth-factor=${factor}`);
    growthFactor = factor;
  };
  // V8 makes the young generation smaller while a process is idle, so it must be able to grow again.
  new PerformanceObserver(() => growBy(youngBytes() < maxYoungBytes ? 2 : 1)).observe({ entryTypes: ['gc'] });
};
