import { expect, test } from 'vitest';
import { createScreen, printable, printableLine } from './terminal.ts';

test.each([
  ['a title', '\u001B]0;pwned\u0007', String.raw`\u001b]0;pwned\u0007`],
  ['a cleared screen', '\u001B[2J', String.raw`\u001b[2J`],
  ['an 8-bit control sequence', '\u009B2J', String.raw`\u009b2J`],
  ['a deleted or overwritten character', 'safe\u007F\u0008\revil', String.raw`safe\u007f\u0008\u000devil`],
  ['a reversed text', 'abc\u202Etxt.exe\u2066', String.raw`abc\u202etxt.exe\u2066`],
])('%s does not reach the terminal', (_, text, shown) => {
  expect(printable(text)).toBe(shown);
});

test('ordinary text of any script stays, with its line breaks', () => {
  const text = 'Grüße, 世界 👋\n\tשלום — «ok»';
  expect(printable(text)).toBe(text);
  expect(printableLine('one\r\ntwo\tthree')).toBe('one two three');
});

test('JSON stays the same JSON', () => {
  const value = { message: 'a\u009Bb\u007F\u202E' };
  expect(JSON.parse(printable(JSON.stringify(value)))).toEqual(value);
});

test('a screen clears its own line, and no other text can', () => {
  const written: string[] = [];
  const screen = createScreen({ write: (text) => written.push(text), isTTY: true, columns: 80 });
  screen.write('\r\u001B[2Kgone\n');
  screen.redraw('50 %\r\u001B[2K');
  screen.redraw('51 %');
  screen.write('below\n');
  screen.redraw('');
  expect(written).toEqual([
    String.raw`\u000d\u001b[2Kgone` + '\n',
    '50 % ' + String.raw`\u001b[2K`,
    '\r\u001B[2K51 %',
    '\r\u001B[2Kbelow\n',
  ]);
});
