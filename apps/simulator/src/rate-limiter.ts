/** What a provider allows. A figure left out is not limited. */
export interface Limits {
  /** Calls admitted per minute. */
  readonly requestsPerMinute?: number;
  /** Prompt and completion tokens of the calls admitted per minute. */
  readonly tokensPerMinute?: number;
  /** Calls admitted and not ended. */
  readonly maxInFlight?: number;
  /** The status of the answer to a call over `maxInFlight`. Default 429; any other comes without `retry-after`. */
  readonly maxInFlightStatus?: number;
  /**
   * Length of the sliding window in milliseconds. Default 60000. A shorter one scales the per-minute figures down, as
   * providers do that count by the second: 600 a minute over 1000 ms admits 10 in any 1000 ms. Fractions are dropped.
   */
  readonly windowMs?: number;
}

export type Admission =
  | { readonly status: 'admitted' }
  | {
      readonly status: 'refused';
      readonly reason: 'requests' | 'tokens' | 'in-flight';
      /** Milliseconds until the same call would fit, if no other came; null when it never fits. */
      readonly retryAfterMs: number | null;
    };

export interface RateLimiter {
  /** Admits a call and counts it, or refuses it and counts nothing. */
  readonly admit: (tokens: number) => Admission;
  /** Says that an admitted call has ended. */
  readonly release: () => void;
  /** The `x-ratelimit-*` headers as of now; empty when nothing is limited by the minute. */
  readonly headers: () => Readonly<Record<string, string>>;
  /** Changes the limits; what was counted under the old ones stays counted. */
  readonly configure: (limits: Limits) => void;
}

const admitted: Admission = { status: 'admitted' };
const noHeaders = {};

/**
 * A strict sliding window: every admitted call is remembered for exactly one window, so no window, wherever it starts,
 * holds more than the limit.
 * @param nowMs a monotonic clock.
 */
export function createRateLimiter(initial: Limits, nowMs: () => number): RateLimiter {
  let limits = initial;
  let window: { at: number; tokens: number }[] = [];
  let head = 0;
  let tokensInWindow = 0;
  let inFlight = 0;

  const windowMs = () => limits.windowMs ?? 60_000;
  const perWindow = (perMinute: number) => Math.floor((perMinute * windowMs()) / 60_000);

  function forgetExpired(now: number): void {
    for (let oldest = window[head]; oldest && now - oldest.at >= windowMs(); oldest = window[++head]) {
      tokensInWindow -= oldest.tokens;
    }
    if (head > 1024 && head * 2 > window.length) {
      window = window.slice(head);
      head = 0;
    }
  }

  /** Milliseconds until enough of the oldest calls have left the window for a call to fit; null when it never fits. */
  function waitFor(now: number, fits: (calls: number, tokens: number) => boolean): number | null {
    let tokens = tokensInWindow;
    for (let index = head; index < window.length; index++) {
      const entry = window[index]!;
      tokens -= entry.tokens;
      if (fits(window.length - index - 1, tokens)) return entry.at + windowMs() - now;
    }
    return null;
  }

  function refusal(now: number, callTokens: number): Admission | undefined {
    const { requestsPerMinute, tokensPerMinute, maxInFlight } = limits;
    if (maxInFlight !== undefined && inFlight >= maxInFlight) {
      // Nobody knows when a call will end. Providers ask for a second.
      return { status: 'refused', reason: 'in-flight', retryAfterMs: 1000 };
    }
    const maxCalls = perWindow(requestsPerMinute ?? Infinity);
    const maxTokens = perWindow(tokensPerMinute ?? Infinity);
    const tooManyCalls = window.length - head >= maxCalls;
    if (!tooManyCalls && tokensInWindow + callTokens <= maxTokens) return undefined;
    return {
      status: 'refused',
      reason: tooManyCalls ? 'requests' : 'tokens',
      retryAfterMs: waitFor(now, (calls, tokens) => calls < maxCalls && tokens + callTokens <= maxTokens),
    };
  }

  const countsWindow = () => limits.requestsPerMinute !== undefined || limits.tokensPerMinute !== undefined;

  return {
    admit(tokens) {
      const now = nowMs();
      forgetExpired(now);
      const refused = refusal(now, tokens);
      if (refused) return refused;
      inFlight++;
      if (countsWindow()) {
        window.push({ at: now, tokens });
        tokensInWindow += tokens;
      }
      return admitted;
    },
    release() {
      inFlight--;
    },
    headers() {
      if (!countsWindow()) return noHeaders;
      const now = nowMs();
      forgetExpired(now);
      const newest = window.at(-1);
      const reset = formatReset(newest && head < window.length ? newest.at + windowMs() - now : 0);
      const headers: Record<string, string> = {};
      const describe = (kind: string, perMinute: number | undefined, used: number) => {
        if (perMinute === undefined) return;
        const limit = perWindow(perMinute);
        headers[`x-ratelimit-limit-${kind}`] = String(limit);
        headers[`x-ratelimit-remaining-${kind}`] = String(Math.max(0, limit - used));
        headers[`x-ratelimit-reset-${kind}`] = reset;
      };
      describe('requests', limits.requestsPerMinute, window.length - head);
      describe('tokens', limits.tokensPerMinute, tokensInWindow);
      return headers;
    },
    configure(next) {
      limits = next;
    },
  };
}

/**
 * The time until a limit is full again, as OpenAI writes it: `120ms`, `1s`, `6m0s`.
 * Source: https://platform.openai.com/docs/guides/rate-limits#rate-limits-in-headers
 */
export function formatReset(ms: number): string {
  if (ms <= 999) return `${Math.ceil(ms)}ms`;
  const seconds = Math.ceil(ms / 1000);
  return seconds < 60 ? `${seconds}s` : `${Math.floor(seconds / 60)}m${seconds % 60}s`;
}
