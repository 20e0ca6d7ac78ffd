interface Sample {
  readonly atMs: number;
  readonly done: number;
}

const windowMs = 15_000;

/** Measures how many requests ended per second over the last 15 s. */
export const createRateMeter = (now: () => number) => {
  let samples: Sample[] = [];
  return {
    /** Takes how many requests have ended so far. */
    add(done: number): void {
      const atMs = now();
      samples = [...samples.filter((sample) => atMs - sample.atMs <= windowMs), { atMs, done }];
    },
    perSecond(): number {
      const first = samples[0];
      const last = samples.at(-1);
      if (!first || !last) return 0;
      const elapsedMs = now() - first.atMs;
      return elapsedMs <= 0 ? 0 : ((last.done - first.done) / elapsedMs) * 1000;
    },
  };
};
