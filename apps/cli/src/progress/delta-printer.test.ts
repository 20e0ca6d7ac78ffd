import { expect, it } from 'vitest';
import { createDeltaPrinter } from './delta-printer.ts';

const open = () => {
  const screen = { text: '', nowMs: 0 };
  const ends = new Map<string, number>();
  const printer = createDeltaPrinter({ write: (text) => (screen.text += text), now: () => screen.nowMs });
  return {
    screen,
    say: (customId: string, delta: string, more: { offset?: number; index?: number; done?: true } = {}): void => {
      const offset = more.offset ?? ends.get(customId) ?? 0;
      ends.set(customId, offset + delta.length);
      printer.add({ custom_id: customId, index: 0, delta, ...more, offset });
    },
    end: () => printer.end(),
  };
};

it('prints an answer as it comes, under its custom_id', () => {
  const { screen, say } = open();
  say('a', 'Bon');
  expect(screen.text).toBe('── a\nBon');
  say('a', 'jour\n');
  say('a', '!', { done: true });
  say('b', 'Hi');
  expect(screen.text).toBe('── a\nBonjour\n!\n── b\nHi');
});

it('prints one answer at a time: after it the complete ones, then the oldest', () => {
  const { screen, say, end } = open();
  say('a', 'A1 ');
  say('b', 'B1 ');
  say('c', 'C1');
  say('a', 'A2 ');
  say('c', '', { done: true });
  say('b', 'B2 ');
  expect(screen.text).toBe('── a\nA1 A2 ');
  say('a', 'A3', { done: true });
  expect(screen.text).toBe('── a\nA1 A2 A3\n── c\nC1\n── b\nB1 B2 ');
  say('b', 'B3', { done: true });
  end();
  expect(screen.text).toBe('── a\nA1 A2 A3\n── c\nC1\n── b\nB1 B2 B3\n');
});

it('marks lost text and a broken attempt with …', () => {
  const { screen, say, end } = open();
  say('a', 'middle', { offset: 5 });
  say('a', 'Anew', { offset: 0 });
  say('a', ' and on');
  end();
  expect(screen.text).toBe('── a\n…middle …\nAnew and on …\n');
});

it('gives the turn of a silent answer to others', () => {
  const { screen, say } = open();
  say('a', 'A1');
  say('b', 'B1', { done: true });
  screen.nowMs = 6000;
  say('c', 'C1');
  expect(screen.text).toBe('── a\nA1 …\n── b\nB1\n── c\nC1');
  say('a', 'A2');
  say('c', '', { done: true });
  expect(screen.text).toBe('── a\nA1 …\n── b\nB1\n── c\nC1\n── a\nA2');
});

it('prints the choices of a request one by one', () => {
  const { screen, say } = open();
  say('a', 'One', { offset: 0 });
  say('a', 'Two', { offset: 0, index: 1 });
  say('a', '', { done: true });
  expect(screen.text).toBe('── a\nOne\n── a [1]\nTwo\n');
});

it('prints nothing of an answer without text', () => {
  const { screen, say, end } = open();
  say('a', '', { offset: 9, done: true });
  end();
  expect(screen.text).toBe('');
});

it('escapes characters that control the terminal', () => {
  const { screen, say } = open();
  say('a\u001B[2J', 'Red \u001B[31malert\u0007\ttabs\n');
  expect(screen.text).toBe('── a\\u001b[2J\nRed \\u001b[31malert\\u0007\ttabs\n');
});
