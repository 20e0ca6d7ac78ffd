const secondsPerUnit: Readonly<Record<string, number>> = { m: 60, h: 3600, d: 86_400 };
const minSeconds = 60;
const maxSeconds = 30 * 86_400;
const minNearSeconds = 600;

/**
 * The length of a `completion_window` in seconds; undefined when the text is none. OpenAI takes only `24h`. Promptmill
 * takes any whole number of minutes, hours or days from `1m` to `30d`.
 */
export const completionWindowSeconds = (window: string): number | undefined => {
  const match = /^(\d{1,5})([mhd])$/.exec(window);
  if (!match) return undefined;
  const seconds = Number(match[1]) * (secondsPerUnit[match[2] ?? ''] ?? 0);
  return seconds >= minSeconds && seconds <= maxSeconds ? seconds : undefined;
};

/**
 * How long flex may give a batch nothing before its requests step up, in milliseconds: a twentieth of its window. Its pace
 * is measured over as long. `createdAt` and `expiresAt` are Unix seconds.
 */
export const flexPatienceMs = ({ createdAt, expiresAt }: { createdAt: number; expiresAt: number }): number =>
  ((expiresAt - createdAt) * 1000) / 20;

/**
 * The time, in Unix milliseconds, from which a batch's deadline is near: the start of the last tenth of its window, or
 * of its last 10 minutes if they are longer, but not before five sixths of the window. `createdAt` and `expiresAt` are Unix
 * seconds.
 */
export const deadlineNearMs = ({ createdAt, expiresAt }: { createdAt: number; expiresAt: number }): number => {
  const window = expiresAt - createdAt;
  return (expiresAt - Math.max(window / 10, Math.min(minNearSeconds, window / 6))) * 1000;
};
