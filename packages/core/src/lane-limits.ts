import { z } from 'zod';

/** The limits of a lane or a deployment, as the configuration writes them. */
export const limitOptions = {
  /** Calls in flight, all workers together. */
  concurrency: z.int().positive().optional(),
  /** Calls a minute, all workers together. */
  requestsPerMinute: z.int().positive().optional(),
  /** Calls a second, all workers together; instead of `requestsPerMinute`. */
  requestsPerSecond: z.number().positive().optional(),
  /** Input and output tokens a minute, all workers together. */
  tokensPerMinute: z.int().positive().optional(),
};

const limitsConfig = z.strictObject(limitOptions);
export type LimitsConfig = z.infer<typeof limitsConfig>;

/** The limits of a lane, or of one of its deployments, all workers together. What is absent is not limited. */
export interface LaneLimits {
  /** Calls in flight. */
  readonly concurrency?: number;
  readonly requests?: { readonly count: number; readonly windowMs: number };
  readonly tokensPerMinute?: number;
}

export const buildLimits = (config: LimitsConfig): LaneLimits => {
  const { concurrency, requestsPerMinute, requestsPerSecond, tokensPerMinute } = config;
  const requests =
    requestsPerSecond === undefined
      ? requestsPerMinute && { count: requestsPerMinute, windowMs: 60_000 }
      : // A rate below one a second is one call in a longer window.
        { count: Math.max(1, Math.floor(requestsPerSecond)), windowMs: 1000 * Math.max(1, 1 / requestsPerSecond) };
  return {
    ...(concurrency === undefined ? {} : { concurrency }),
    ...(requests ? { requests } : {}),
    ...(tokensPerMinute === undefined ? {} : { tokensPerMinute }),
  };
};
