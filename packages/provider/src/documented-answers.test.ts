import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { failures } from './classify-answer.ts';

interface Row {
  readonly class: string;
  readonly lane: string;
  readonly statuses?: readonly number[];
}

/** The rows of a table of Markdown below a heading, without its head. */
const tableBelow = (heading: string, text: string): string[][] => {
  const section = text.slice(text.indexOf(`\n${heading}\n`)).split(/\n#+ /)[1] ?? '';
  const lines = section.split('\n').filter((line) => line.startsWith('|'));
  return lines.slice(2).map((line) =>
    line
      .slice(1, -1)
      .split('|')
      .map((cell) => cell.trim()),
  );
};

const documented = tableBelow(
  '### What each answer means',
  readFileSync(new URL('../../../ARCHITECTURE.md', import.meta.url), 'utf8'),
).flatMap(([answer = '', code = '', failureClass = '', lane = '']) =>
  code === '' ? [] : [{ answer, code: code.replaceAll('`', ''), class: failureClass, lane }],
);

test('ARCHITECTURE.md has each way a call can fail, once and in the same order', () => {
  expect(documented.map(({ code }) => code)).toEqual(Object.keys(failures));
});

const rowOf = (code: string) => documented.find((row) => row.code === code);

test.each(Object.entries<Row>(failures))('ARCHITECTURE.md says of %s what the code does', (code, row) => {
  expect(rowOf(code)).toMatchObject({ class: row.class, lane: row.lane });
});

const statuses = Object.entries<Row>(failures).flatMap(([code, row]) =>
  row.statuses ? [[code, row.statuses] as const] : [],
);

test.each(statuses)('ARCHITECTURE.md says that %s is %j', (code, expected) => {
  expect(
    rowOf(code)
      ?.answer.match(/\b\d{3}\b/g)
      ?.map(Number),
  ).toEqual(expected);
});
