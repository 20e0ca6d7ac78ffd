import { InvalidArgumentError } from 'commander';

const units: Readonly<Record<string, number>> = {
  '': 1,
  kb: 1e3,
  mb: 1e6,
  gb: 1e9,
  kib: 2 ** 10,
  mib: 2 ** 20,
  gib: 2 ** 30,
};

/** Reads `1000000`, `100MB` or `64MiB` as bytes. */
export const parseBytes = (text: string): number => {
  const [, count = '', unit = ''] = /^([1-9]\d{0,11}) ?([a-z]*)$/i.exec(text) ?? [];
  const bytes = Number(count) * (units[unit.toLowerCase()] ?? 0);
  if (bytes === 0)
    throw new InvalidArgumentError('It must be whole bytes, kB, MB, GB, KiB, MiB or GiB, such as 100MB.');
  return bytes;
};
