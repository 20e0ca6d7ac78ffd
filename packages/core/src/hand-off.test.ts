import { describe, expect, it } from 'vitest';
import { fewestToHandOff, giveUpAtMs, liveBeforeHandOff } from './hand-off.ts';

const day = 86_400;

describe('what is handed off', () => {
  it.each([
    { strategy: 'live', windowSeconds: 7 * day, fewest: Infinity },
    { strategy: 'cheapest', windowSeconds: 3600, fewest: 1 },
    { strategy: 'fastest', windowSeconds: 3600, fewest: 1 },
    { strategy: 'auto', windowSeconds: day, fewest: 500 },
    { strategy: 'auto', windowSeconds: day - 60, fewest: Infinity },
  ] as const)('$strategy in $windowSeconds s: at least $fewest', ({ strategy, windowSeconds, fewest }) => {
    expect(fewestToHandOff(strategy, { windowSeconds, providerWindowSeconds: day })).toBe(fewest);
  });
});

describe('what runs live before anything is handed off', () => {
  it('with fastest is what the lane lets in in half of the window', () => {
    expect(liveBeforeHandOff('fastest', { windowSeconds: 3600, perSecond: 2 })).toBe(3600);
    expect(liveBeforeHandOff('fastest', { windowSeconds: 3600 })).toBe(Infinity);
  });
  it.each(['auto', 'cheapest', 'live'] as const)('with %s is nothing', (strategy) => {
    expect(liveBeforeHandOff(strategy, { windowSeconds: 3600, perSecond: 2 })).toBe(0);
  });
});

describe('when a shard is given up', () => {
  const batch = { createdAt: 0, expiresAt: 4000 };

  it('leaves a quarter of the time for live calls', () => {
    expect(giveUpAtMs(batch, 1000, undefined)).toBe(3_000_000);
    expect(giveUpAtMs(batch, 100, 10)).toBe(3_000_000);
  });
  it('leaves what the lane takes for them, up to half of the time', () => {
    expect(giveUpAtMs(batch, 1000, 1)).toBe(2_500_000);
    expect(giveUpAtMs(batch, 100_000, 1)).toBe(2_000_000);
  });
});
