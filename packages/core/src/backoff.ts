export interface RetryPolicy {
  /** Attempts per request, the first included. Default 6. */
  readonly attempts: number;
  /** Upper bound of the first delay, in milliseconds. Default 1000. */
  readonly baseDelayMs: number;
  /** Upper bound of any delay, in milliseconds. Default 60000. */
  readonly maxDelayMs: number;
}

/**
 * Exponential backoff with full jitter: uniform in [0, min(maxDelayMs, baseDelayMs · 2^(attempt − 1))].
 * Source: https://aws.amazon.com/blogs/architecture/exponential-backoff-and-jitter/
 *
 * @param attempt attempts made so far, at least 1
 * @param random in [0, 1)
 */
export const backoffDelayMs = (policy: RetryPolicy, attempt: number, random: number): number =>
  Math.round(random * Math.min(policy.maxDelayMs, policy.baseDelayMs * 2 ** (attempt - 1)));
