import { InvalidArgumentError } from 'commander';

const secondsPerUnit: Readonly<Record<string, number>> = { m: 60, h: 3600, d: 86_400 };

/** Reads `90m`, `12h` or `30d` as seconds. */
export const parseExpires = (text: string): number => {
  const [, count = '', unit = ''] = /^([1-9]\d{0,4})([mhd])$/.exec(text) ?? [];
  const seconds = Number(count) * (secondsPerUnit[unit] ?? 0);
  if (seconds === 0)
    throw new InvalidArgumentError('It must be whole minutes, hours or days, such as 90m, 12h or 30d.');
  return seconds;
};
