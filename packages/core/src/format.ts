/** `7 s`, `4 min 10 s`, `2 h 5 min`. */
export const formatDuration = (seconds: number): string => {
  const whole = Math.max(0, Math.round(seconds));
  if (whole < 60) return `${whole} s`;
  const minutes = Math.floor(whole / 60);
  return minutes < 60 ? `${minutes} min ${whole % 60} s` : `${Math.floor(minutes / 60)} h ${minutes % 60} min`;
};

/** A count with its thousands separated: `12,345`. */
export const formatCount = (count: number): string => count.toLocaleString('en-US');

/** A count in few characters: `12K`, `1.2M`. */
export const formatShortCount = (count: number): string =>
  count.toLocaleString('en-US', { notation: 'compact', maximumFractionDigits: 1 });

/** `12`, `3.4`: how many a second. */
export const formatRate = (perSecond: number): string =>
  perSecond < 10 ? perSecond.toFixed(1) : formatCount(Math.round(perSecond));

/** `$1,234.50`, and `$0.0042` where cents would not show it. */
export const formatUsd = (usd: number): string => {
  const shown = usd >= 0.1 ? usd : Number(usd.toPrecision(2));
  return `$${shown.toLocaleString('en-US', { minimumFractionDigits: 2, maximumFractionDigits: usd >= 0.1 ? 2 : 12 })}`;
};

/** Bounds of an amount of USD; null where nothing can be said. */
export interface UsdRange {
  readonly low: number | null;
  readonly expected: number | null;
  readonly high: number | null;
}

/** `about $1.20 ($1.08 to $1.32)`, `$0.10 to $0.50`, `at least $0.10`; undefined when nothing is known. */
export const formatUsdRange = ({ low, expected, high }: UsdRange): string | undefined => {
  if (low === null) return undefined;
  if (high === null) return `at least ${formatUsd(low)}`;
  const range = low === high ? formatUsd(low) : `${formatUsd(low)} to ${formatUsd(high)}`;
  return expected === null ? range : `about ${formatUsd(expected)} (${range})`;
};

/** `1 line`, `2 lines`. */
export const plural = (count: number, noun: string): string => `${formatCount(count)} ${noun}${count === 1 ? '' : 's'}`;

/** A time in UTC: `2026-11-28 20:15`. */
export const formatTime = (seconds: number): string =>
  new Date(seconds * 1000).toISOString().slice(0, 16).replace('T', ' ');
