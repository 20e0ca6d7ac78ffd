import { describe, expect, it } from 'vitest';
import { type FlexPace, nextPace } from './flex-pace.ts';

interface Tiers {
  /** What flex and the standard lane answer in a second, `s` seconds after the start. */
  readonly flex: (s: number) => number;
  readonly standard: number;
}

/** Runs a batch by the plan, a step each second. */
const simulate = (requests: number, windowSeconds: number, { flex, standard }: Tiers) => {
  let pace: FlexPace | undefined;
  let [flexLeft, standardLeft, flexAnswers, steps, lastStepAt] = [requests, 0, 0, 0, 0];
  const endMs = windowSeconds * 1000 * (5 / 6);
  for (let s = 1; s <= windowSeconds; s++) {
    const byFlex = Math.min(flexLeft, flex(s));
    flexLeft -= byFlex;
    flexAnswers += byFlex;
    standardLeft = Math.max(0, standardLeft - standard);
    pace = nextPace(pace, {
      atMs: s * 1000,
      answers: flexAnswers,
      left: flexLeft,
      startedAtMs: 0,
      endMs,
      spanMs: windowSeconds * 50,
    });
    const due = Math.min(flexLeft, Math.floor(pace.due));
    pace = { ...pace, due: pace.due - due };
    flexLeft -= due;
    standardLeft += due;
    steps += due;
    if (due > 0) lastStepAt = s;
    if (flexLeft + standardLeft < 0.5) return { doneAt: s, steps, lastStepAt };
  }
  return { doneAt: Infinity, steps, lastStepAt };
};

describe.each([360, 3600, 86_400])('in a window of %i s', (window) => {
  const requests = window;
  const plenty = { standard: 10 };

  it('nothing steps up while flex is fast enough', () => {
    expect(simulate(requests, window, { ...plenty, flex: () => 1.3 }).steps).toBe(0);
  });

  it('all is done in time when flex gives nothing', () => {
    const { doneAt, steps } = simulate(requests, window, { ...plenty, flex: () => 0 });
    expect(doneAt).toBeLessThanOrEqual(window * 0.9);
    expect(steps).toBe(requests);
  });

  it('as many step up as flex does not answer, and not many more', () => {
    const { doneAt, steps } = simulate(requests, window, { ...plenty, flex: () => 0.6 });
    expect(doneAt).toBeLessThanOrEqual(window * 0.9);
    const needed = requests - 0.6 * window * (5 / 6);
    expect(steps / needed).toBeGreaterThan(0.98);
    expect(steps / needed).toBeLessThan(1.1);
  });

  it('those of an outage of flex step up, and then no more', () => {
    const away = (s: number): boolean => s > window * 0.2 && s < window * 0.35;
    const { steps, lastStepAt } = simulate(requests, window, { ...plenty, flex: (s) => (away(s) ? 0 : 2) });
    expect(steps).toBeLessThan(requests * 0.25);
    expect(lastStepAt).toBeLessThan(window * 0.45);
  });

  it('all is done in time where the standard lane takes little more than is needed of it', () => {
    const { doneAt } = simulate(requests, window, { standard: 0.75, flex: () => 0.6 });
    expect(doneAt).toBeLessThanOrEqual(window);
  });
});

it('what a batch missed while it rested is no pace, and nothing steps up for it', () => {
  const look = { answers: 100, left: 900, startedAtMs: 0, endMs: 1_000_000, spanMs: 50_000 };
  const before = nextPace(undefined, { ...look, atMs: 100_000 });
  const after = nextPace(before, { ...look, atMs: 700_000 });
  expect(after).toMatchObject({ rate: before.rate, due: 0 });
});
