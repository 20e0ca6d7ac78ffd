import type { CallEnd } from '@promptmill/queue';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { createMakeAdmission, type Grant } from './admission.ts';

beforeEach(() => vi.useFakeTimers());
afterEach(() => vi.useRealTimers());

/** A call that was admitted with this grant by a question asked now. */
const admitOne = (estimatedTokens: number, grant: Partial<Grant> = {}) => {
  const told: unknown[] = [];
  const ends: CallEnd[] = [];
  const late: { readonly grantedAtMs: number; readonly estimatedTokens: number }[] = [];
  const errors: unknown[] = [];
  const makeAdmission = createMakeAdmission({
    upstream: 'lab',
    onEnd: () => {},
    control: {
      async countLate(call) {
        late.push(call);
        if (call.grantedAtMs < 0) throw new Error('LOADING');
        return call.grantedAtMs + 1000;
      },
      async reportEnd(end) {
        ends.push(end);
        const began = end.signal === 'throttled';
        return { heldUntilMs: began ? 9000 : 0, began, atMs: 1, workedAtMs: 0, isLookDue: false };
      },
    },
    freePass: { revoke: () => told.push('revoked') },
    ends: { add: (grantedAtMs) => told.push(['works', grantedAtMs]) },
    onHold: (reason, heldUntilMs) => told.push(['hold', reason, heldUntilMs]),
    onLookDue: (atMs) => told.push(['look', atMs]),
    onProbeEnd: () => told.push('probe ended'),
    onError: (error) => errors.push(error),
  });
  const admission = makeAdmission(estimatedTokens, { atMs: 1, isProbe: false, ...grant }, performance.now());
  return { admission, told, ends, late, errors };
};

describe('the end of a call', () => {
  it('is told together with others when it shows only that the provider works', async () => {
    const { admission, told, ends } = admitOne(0, { atMs: 5 });
    await admission.reportEnd({ signal: 'ok' });
    expect([told, ends]).toEqual([[['works', 5]], []]);
  });

  it.each([
    ['of a refusal', {}, 0, 'throttled'],
    ['of a success that settles tokens', {}, 9, 'ok'],
    ['of a probe that succeeded', { isProbe: true }, 0, 'ok'],
    ['of a call that was not sent', {}, 0, 'unsent'],
  ] as const)('%s is told at once', async (_, grant, estimatedTokens, signal) => {
    const { admission, ends } = admitOne(estimatedTokens, grant);
    await admission.reportEnd({ signal });
    expect(ends).toEqual([{ signal, grantedAtMs: 1, estimatedTokens }]);
  });

  it.each([
    ['throttled', ['revoked', 'revoked', ['hold', 'slow down', 9000]]],
    ['down', ['revoked']],
    ['none', []],
    ['unsent', []],
  ] as const)('%s: what follows', async (signal, expected) => {
    const { admission, told } = admitOne(0);
    await admission.reportEnd({ signal, reason: 'slow down' });
    expect(told).toEqual(expected);
  });

  it('names the signal where a hold has no other reason', async () => {
    const { admission, told } = admitOne(0);
    await admission.reportEnd({ signal: 'throttled' });
    expect(told.at(-1)).toEqual(['hold', 'throttled', 9000]);
  });

  it.each(['ok', 'none', 'down'] as const)('of a probe wakes those who wait: %s', async (signal) => {
    const { admission, told } = admitOne(0, { isProbe: true });
    await admission.reportEnd({ signal });
    expect(told.at(-1)).toBe('probe ended');
  });
});

describe('a call that goes out', () => {
  it.each([
    ['at once counts from when it was let in', 20, {}, true, undefined],
    ['late counts from then on', 30, {}, true, 1005],
    ['late is not told where nothing limits the lane', 10_000, { sendWithinMs: undefined }, true, undefined],
    ['is not sent when the lane may count it no more', 801, {}, false, undefined],
  ] as const)('%s', async (_, afterMs, grant, goesOut, countedAtMs) => {
    const { admission, late, ends } = admitOne(3, { atMs: 5, sendWithinMs: 800, ...grant });
    vi.advanceTimersByTime(afterMs);
    expect(admission.send()).toBe(goesOut);
    expect(late).toEqual(countedAtMs ? [{ grantedAtMs: 5, estimatedTokens: 3 }] : []);
    await admission.reportEnd({ signal: 'ok', usedTokens: 1 });
    expect(ends).toEqual([{ signal: 'ok', usedTokens: 1, grantedAtMs: 5, countedAtMs, estimatedTokens: 3 }]);
  });

  it('late, while Redis is away, ends like any other', async () => {
    const { admission, errors, ends } = admitOne(3, { atMs: -1, sendWithinMs: 800 });
    vi.advanceTimersByTime(30);
    expect(admission.send()).toBe(true);
    await admission.reportEnd({ signal: 'ok', usedTokens: 1 });
    expect([errors.length, ends.length]).toEqual([1, 1]);
  });
});
