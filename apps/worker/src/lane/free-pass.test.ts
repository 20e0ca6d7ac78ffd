import type { LaneAnswer } from '@promptmill/queue';
import { afterEach, beforeEach, expect, it, vi } from 'vitest';
import { createFreePass } from './free-pass.ts';

beforeEach(() => vi.useFakeTimers());
afterEach(() => vi.useRealTimers());

const answer = (more: Partial<LaneAnswer> = {}): LaneAnswer => ({
  granted: 1,
  waitMs: 0,
  waitFor: '',
  atMs: 5000,
  isProbe: false,
  closedForMs: 0,
  failedSources: [],
  othersWait: false,
  isFree: true,
  room: 0,
  ...more,
});
const grant = (pass: ReturnType<typeof createFreePass>) => pass.grantAt(performance.now());

it('lasts for 20 ms from an answer that nothing limits the lane', () => {
  const pass = createFreePass();
  expect(grant(pass)).toBeUndefined();
  pass.awaitAnswer()(answer());
  vi.advanceTimersByTime(19);
  expect(grant(pass)).toMatchObject({ atMs: 5000, isProbe: false });
  vi.advanceTimersByTime(1);
  expect(grant(pass)).toBeUndefined();
});

it('is not given where something limits the lane', () => {
  const pass = createFreePass();
  pass.awaitAnswer()(answer({ isFree: false }));
  expect(grant(pass)).toBeUndefined();
});

it('ends when it is revoked, and a question from before does not renew it', () => {
  const pass = createFreePass();
  pass.awaitAnswer()(answer());
  const renew = pass.awaitAnswer();
  pass.revoke();
  expect(grant(pass)).toBeUndefined();
  renew(answer());
  expect(grant(pass)).toBeUndefined();
  pass.awaitAnswer()(answer());
  expect(grant(pass)).toBeDefined();
});
