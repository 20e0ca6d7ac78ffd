import type { Random } from '@promptmill/core';

/** How long a call takes before its answer starts. */
export type Latency =
  | { readonly kind: 'fixed'; readonly ms: number }
  /** `ln(latency)` is normal: half of the calls take longer than `medianMs`; `sigma` 0.5 puts p95 near 2.3 medians. */
  | { readonly kind: 'log-normal'; readonly medianMs: number; readonly sigma: number };

/** One call's latency in milliseconds. */
export function sampleLatencyMs(latency: Latency, random: Random): number {
  if (latency.kind === 'fixed') return latency.ms;
  return latency.medianMs * Math.exp(latency.sigma * sampleNormal(random));
}

/** Box–Muller; `1 - random()` keeps zero out of the logarithm. */
function sampleNormal(random: Random): number {
  return Math.sqrt(-2 * Math.log(1 - random())) * Math.cos(2 * Math.PI * random());
}
