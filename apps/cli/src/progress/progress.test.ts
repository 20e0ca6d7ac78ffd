import { afterEach, describe, expect, it, vi } from 'vitest';
import type { BatchObject } from '@promptmill/core';
import { createScreen } from '../terminal.ts';
import { createProgress } from './progress.ts';

const batchOf = (completed: number): BatchObject =>
  ({
    status: 'in_progress',
    request_counts: { total: 100, completed, failed: 0 },
    promptmill: { waiting_for: [], blocked: null, paused_at: null } as Partial<BatchObject['promptmill']>,
  }) as Partial<BatchObject> as BatchObject;

const watchScreen = (isTTY: boolean) => {
  const writes: string[] = [];
  let nowMs = 0;
  const screen = createScreen({ isTTY, columns: 80, write: (text: string) => writes.push(text) });
  const progress = createProgress({ screen, now: () => nowMs });
  return {
    writes,
    progress,
    at: (ms: number, completed: number) => {
      nowMs = ms;
      progress.update(batchOf(completed));
    },
  };
};

describe('progress', () => {
  afterEach(() => {
    vi.useRealTimers();
  });

  it('without a terminal writes a line at most every 5 s, and the last state', () => {
    const { writes, progress, at } = watchScreen(false);
    at(0, 0);
    at(1000, 10);
    at(4999, 20);
    at(5000, 30);
    at(6000, 40);
    progress.end();
    expect(writes).toEqual([
      '0 % · 0/100 done · waiting for answers\n',
      '30 % · 30/100 done · 6.0/s · 12 s left\n',
      '40 % · 40/100 done · 6.7/s · 9 s left\n',
    ]);
  });

  it('on a terminal keeps one line up to date', () => {
    const { writes, progress, at } = watchScreen(true);
    at(0, 0);
    at(50, 10);
    at(100, 20);
    progress.end();
    expect(writes.map((text) => text.startsWith('\r\u001B[2K'))).toEqual([true, true, false]);
    expect(writes.at(-1)).toBe('\n');
  });

  it('writes nothing when it got no batch', () => {
    const { writes, progress } = watchScreen(true);
    progress.end();
    expect(writes).toEqual([]);
  });
});
