import { formatDuration, formatUsd } from '@promptmill/core/display';

/** `3 min ago`, `2 days ago`. */
export const formatAge = (seconds: number): string => {
  if (seconds < 5) return 'just now';
  if (seconds < 60) return `${Math.floor(seconds)} s ago`;
  const steps = [
    [60, 'min'],
    [3600, 'h'],
    [86_400, 'day'],
  ] as const;
  const [unit, name] = steps.findLast(([size]) => seconds >= size) ?? steps[0];
  const count = Math.floor(seconds / unit);
  return `${count} ${name}${name === 'day' && count > 1 ? 's' : ''} ago`;
};

/** A duration in its largest unit or two: `42 s`, `4 min 10 s`, `2 h 5 min`, `3 days`. */
export const formatSpan = (seconds: number): string => {
  const days = seconds / 86_400;
  return days >= 2 ? `${days.toFixed(days < 10 ? 1 : 0)} days` : formatDuration(seconds);
};

/** A point in time as the reader's own clock and calendar show it: `29 Nov, 14:02:33`. */
export const formatMoment = (unixSeconds: number): string =>
  new Date(unixSeconds * 1000).toLocaleString('en-GB', {
    day: 'numeric',
    month: 'short',
    hour: '2-digit',
    minute: '2-digit',
    second: '2-digit',
  });

/** `$0.42`; a dash where the price is unknown. */
export const formatCost = (usd: number | null): string => (usd === null ? '–' : usd === 0 ? '$0' : formatUsd(usd));

/** The share that failed: `3 %`, `0.2 %`; empty when none has. */
export const formatShare = (failed: number, ended: number): string => {
  if (failed === 0 || ended === 0) return '';
  const percent = (failed / ended) * 100;
  return `${percent < 0.1 ? '<0.1' : percent < 10 ? Number(percent.toFixed(1)) : Math.round(percent)} %`;
};

/** `1.2 MB` */
export const formatBytes = (bytes: number): string => {
  const units = ['bytes', 'kB', 'MB', 'GB', 'TB'];
  const step = bytes < 1000 ? 0 : Math.min(4, Math.floor(Math.log10(bytes) / 3));
  const value = bytes / 1000 ** step;
  return `${step === 0 || value >= 100 ? Math.round(value) : value.toFixed(1)} ${units[step]}`;
};

/** A batch's id, as far as it takes to know it again. */
export const shortId = (id: string): string => `${id.slice(0, 14)}…${id.slice(-4)}`;
