import { EventEmitter } from 'node:events';
import { afterEach, describe, expect, it, vi } from 'vitest';
import type { BatchObject } from '@promptmill/core';
import { createScreen } from '../terminal.ts';
import { createProgress } from './progress.ts';

type Waiting = BatchObject['promptmill']['waiting_for'];

const batchOf = (completed: number, waitingFor: Waiting = []): BatchObject =>
  ({
    status: 'in_progress',
    request_counts: { total: 100, completed, failed: 0 },
    usage: { total_tokens: 0 },
    promptmill: { waiting_for: waitingFor, blocked: null, paused_at: null, cost: { spent: null } },
  }) as unknown as BatchObject;

/** A screen that keeps what is written, and progress on it, at a time of its own. */
const watchScreen = ({ isTTY, name }: { isTTY: boolean; name?: string }) => {
  vi.useFakeTimers({ now: 0 });
  const writes: string[] = [];
  const terminal = Object.assign(new EventEmitter(), {
    isTTY,
    columns: 80,
    write: (text: string) => writes.push(text),
  });
  const progress = createProgress({
    screen: createScreen(terminal, name),
    now: () => Date.now(),
    nextStep: ({ promptmill }) => (promptmill.waiting_for.length > 0 ? 'promptmill doctor' : undefined),
  });
  return {
    writes,
    progress,
    resize: (columns: number): void => {
      terminal.columns = columns;
      terminal.emit('resize');
    },
    at: (ms: number, completed: number, waitingFor: Waiting = []): void => {
      vi.advanceTimersByTime(ms - Date.now());
      progress.update(batchOf(completed, waitingFor));
    },
  };
};

const clearLine = '\r\u001B[2K';

describe('progress', () => {
  afterEach(() => {
    vi.useRealTimers();
  });

  it.each([{ isTTY: false }, { isTTY: true, name: 'dumb' }])(
    'on %o writes a line every 10 s, with news or without, and the last state',
    (terminal) => {
      const { writes, progress, at } = watchScreen(terminal);
      at(0, 0);
      at(1000, 10);
      at(9000, 20);
      at(10_500, 30);
      at(20_100, 40);
      progress.end();
      expect(writes).toEqual([
        '0 % · 0/100 done · waiting for answers\n',
        '20 % · 20/100 done · 2.0/s · 40 s left\n',
        '30 % · 30/100 done · 1.5/s · 47 s left\n',
        '40 % · 40/100 done · 1.8/s · 33 s left\n',
      ]);
      expect(vi.getTimerCount()).toBe(0);
    },
  );

  it('on a terminal keeps one line up to date, and leaves it there', () => {
    const { writes, progress, at } = watchScreen({ isTTY: true });
    at(0, 0);
    at(50, 10);
    at(100, 20);
    progress.end();
    expect(writes.map((text) => text.replace(/[█░]+ /, ''))).toEqual([
      '0 % · 0/100 done · waiting for answers',
      expect.stringContaining(`${clearLine}20 % · 20/100 done · 200/s · `),
      clearLine,
      expect.stringMatching(/^20 % · 20\/100 done · .*\n$/),
    ]);
  });

  it('says above the line, once, why a batch waits: it may be long', () => {
    const why = 'You exceeded your current quota, please check your plan and billing details.';
    const held = [{ lane: 'xai', reason: 'insufficient_quota', message: why, held_until: 0 }];
    const { writes, progress, at } = watchScreen({ isTTY: true });
    at(0, 0);
    at(1000, 10, held);
    at(2000, 10, held);
    at(3000, 10);
    progress.end();
    expect(writes.filter((text) => text.includes(why))).toEqual([`${clearLine}waiting for xai: ${why}\n`]);
    expect(writes.filter((text) => text.includes('next: '))).toEqual([
      expect.stringContaining('next: promptmill doctor\n'),
    ]);
    expect(writes.filter((text) => /[█░] 10 % .* waiting for xai$/.test(text)).length).toBeGreaterThan(0);
  });

  it('draws anew when the terminal becomes narrower, and removes all lines that the old text takes there', () => {
    const { writes, progress, at, resize } = watchScreen({ isTTY: true });
    at(0, 10);
    expect(writes[0]).toHaveLength(79);
    resize(30);
    progress.end();
    const [before = '', line = ''] = writes[1]?.split('J') ?? [];
    expect(before).toBe('\r\u001B[2A\u001B[');
    expect(line).toMatch(/^10 % .{1,27}$/);
  });

  it('writes nothing when it got no batch', () => {
    const { writes, progress } = watchScreen({ isTTY: true });
    vi.advanceTimersByTime(5000);
    progress.end();
    expect(writes).toEqual([]);
  });
});
