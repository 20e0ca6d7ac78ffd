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

test.each(Object.entries<Row>(failures))('ARCHITECTURE.md says of %s what the code does', (code, row) => {
  const found = documented.find((entry) => entry.code === code);
  expect(found).toMatchObject({ class: row.class, lane: row.lane });
  if (row.statuses) expect(found?.answer.match(/\b\d{3}\b/g)?.map(Number)).toEqual(row.statuses);
});
