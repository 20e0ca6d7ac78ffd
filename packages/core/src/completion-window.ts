const secondsPerUnit: Readonly<Record<string, number>> = { m: 60, h: 3600, d: 86_400 };
const minSeconds = 3600;
const maxSeconds = 30 * 86_400;
const minNearSeconds = 600;

/**
 * The length of a `completion_window` in seconds; undefined when it is none. OpenAI takes `24h` only; here it may be
 * any whole number of minutes, hours or days from `1h` to `30d`.
 */
export const completionWindowSeconds = (window: string): number | undefined => {
  const match = /^(\d{1,5})([mhd])$/.exec(window);
  if (!match) return undefined;
  const seconds = Number(match[1]) * (secondsPerUnit[match[2] ?? ''] ?? 0);
  return seconds >= minSeconds && seconds <= maxSeconds ? seconds : undefined;
};

/**
 * From when on, in Unix milliseconds, a batch's deadline is near: in the last tenth of its window, or its last 10
 * minutes if those are more. Both times in Unix seconds.
 */
export const deadlineNearMs = ({ createdAt, expiresAt }: { createdAt: number; expiresAt: number }): number =>
  (expiresAt - Math.max(minNearSeconds, (expiresAt - createdAt) / 10)) * 1000;
