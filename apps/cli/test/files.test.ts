import { readFileSync } from 'node:fs';
import { readdir, writeFile } from 'node:fs/promises';
import { gzipSync } from 'node:zlib';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { type Cli, openCli } from './support/cli-process.ts';
import { runInProcess } from './support/run-in-process.ts';

const home = process.cwd();
let cli: Cli;

beforeEach(async () => {
  cli = await openCli();
  process.chdir(cli.path('.'));
});

afterEach(async () => {
  process.chdir(home);
  await cli.close();
});

const files = (...args: string[]) => runInProcess(['files', ...args]);
const textOf = (name: string): string => readFileSync(cli.path(name), 'utf8');
const write = (name: string, content: string | Uint8Array): Promise<void> => writeFile(cli.path(name), content);

const numbered = (count: number): string[] => Array.from({ length: count }, (_, index) => `{"prompt": "${index}"}`);
const linesOf = (text: string): string[] => text.split('\n').slice(0, -1);

const result = (id: string, answer: string): string =>
  `${JSON.stringify({ custom_id: id, response: { status_code: 200, body: { choices: [{ message: { content: answer } }] } }, error: null })}\n`;
const failure = (id: string): string =>
  `${JSON.stringify({ custom_id: id, response: null, error: { code: 'request_timeout', message: 'too late' } })}\n`;

describe('files sample', () => {
  it('takes lines as they stand, in their order, and the same ones for a seed', async () => {
    const lines = numbered(1000);
    await write('prompts.jsonl.gz', gzipSync(`${lines.join('\n')}\n\n`));
    const first = await files('sample', 'prompts.jsonl.gz', '-n', '20', '--seed', '7');
    expect(first).toMatchObject({ exit: 0, stderr: '20 lines of 1000 (seed 7)\n' });
    const taken = linesOf(first.stdout);
    expect(taken).toEqual(lines.filter((line) => taken.includes(line)));
    expect(taken).toHaveLength(20);
    await files('sample', 'prompts.jsonl.gz', '-n', '20', '--seed', '7', '-o', 'few.jsonl');
    expect(textOf('few.jsonl')).toBe(first.stdout);
    expect((await files('sample', 'prompts.jsonl.gz', '-n', '20', '--seed', '8')).stdout).not.toBe(first.stdout);
  });

  it('keeps the cells of a table, also those that look like formulas', async () => {
    const table = 'id,text\na,"=1+1, or ""2"""\nb,-x\n';
    await write('t.csv', table);
    expect((await files('sample', 't.csv')).stdout).toBe(table);
    expect((await files('sample', 't.csv', '-o', 't.jsonl')).exit).toBe(0);
    expect(textOf('t.jsonl')).toBe('{"id":"a","text":"=1+1, or \\"2\\""}\n{"id":"b","text":"-x"}\n');
    expect((await files('sample', 't.csv', '-o', 't.txt')).stderr).toBe(
      `error: ${cli.path('t.txt')}: the rows of a csv file can be written as csv, tsv, parquet, jsonl: name it so with -o\n`,
    );
  });

  it('says where a file is broken, and writes nothing', async () => {
    await write('t.csv', 'id,text\na,1\nb,2,3\n');
    const { exit, stdout, stderr } = await files('sample', 't.csv');
    expect([exit, stdout]).toEqual([1, '']);
    expect(stderr).toContain('t.csv: row 2 (line 3): 3 cells, where the header has 2\n');
  });
});

describe('files split and merge', () => {
  it('split by lines, and merge to the same file', async () => {
    const content = `${numbered(25).join('\n')}\n`;
    await write('p.jsonl', content);
    const { exit, stdout } = await files('split', 'p.jsonl', '--lines', '10', '-o', 'parts');
    expect(exit).toBe(0);
    const names = linesOf(stdout);
    expect(names).toEqual(['parts/p.part-0001.jsonl', 'parts/p.part-0002.jsonl', 'parts/p.part-0003.jsonl']);
    expect(names.map((name) => linesOf(textOf(name)).length)).toEqual([10, 10, 5]);
    expect((await files('merge', ...names, '-o', 'merged.jsonl')).exit).toBe(0);
    expect(textOf('merged.jsonl')).toBe(content);

    const again = await files('split', 'p.jsonl', '--lines', '5', '-o', 'parts');
    expect([again.exit, again.stderr]).toEqual([1, expect.stringContaining('is of an earlier split') as string]);
    expect(await readdir(cli.path('parts'))).toHaveLength(3);
  });

  it('split by bytes, and name the line that is too long for a part', async () => {
    await write('p.txt', 'abcd\nefgh\nijklmnopq\n');
    expect(linesOf((await files('split', 'p.txt', '--bytes', '10')).stdout)).toHaveLength(2);
    expect(textOf('p.part-0001.txt')).toBe('abcd\nefgh\n');
    const tooLong = await files('split', 'p.txt', '--bytes', '9', '-o', 'x');
    expect([tooLong.exit, tooLong.stderr]).toEqual([
      1,
      'p.txt:3: 10 bytes, more than --bytes 9\nerror: nothing was started\n',
    ]);
    expect(await readdir(cli.path('.'))).not.toContain('x');
  });

  it('give each part of a table its header, and a merged table the columns of all', async () => {
    await write('t.csv', 'id,text\na,1\nb,2\n');
    await files('split', 't.csv', '--lines', '1');
    expect(textOf('t.part-0002.csv')).toBe('id,text\nb,2\n');
    await write('u.tsv', 'id\tstars\nc\t5\n');
    expect((await files('merge', 't.csv', 'u.tsv', '-o', 'all.csv')).exit).toBe(0);
    expect(textOf('all.csv')).toBe('id,text,stars\na,1,\nb,2,\nc,,5\n');
    expect((await files('merge', 't.csv', 'all.csv', '-o', 'all.csv')).stderr).toContain('all.csv is an input');
    expect((await files('merge', 't.csv', 'u.tsv')).stderr).toContain('-o merged.csv');
    const parquet = await files('merge', 't.csv', '-o', 't.parquet');
    expect(parquet.exit).toBe(0);
    expect((await files('merge', 't.parquet', '-o', 'back.csv')).exit).toBe(0);
    expect(textOf('back.csv')).toBe(textOf('t.csv'));
  });
});

describe('files diff', () => {
  it('says which answers changed, and which are in one file alone', async () => {
    await write('a.jsonl', result('1', 'one') + result('2', 'two') + result('3', 'three') + failure('4'));
    await write('b.jsonl', result('5', 'five') + result('3', 'THREE') + failure('4') + result('1', 'one'));
    const { exit, stdout, stderr } = await files('diff', 'a.jsonl', 'b.jsonl');
    expect(linesOf(stdout).map((line): unknown => JSON.parse(line))).toEqual([
      { custom_id: '5', change: 'added', before: null, after: 'five' },
      { custom_id: '3', change: 'changed', before: 'three', after: 'THREE' },
      { custom_id: '2', change: 'removed', before: 'two', after: null },
    ]);
    expect([exit, stderr]).toEqual([1, '1 changed, 1 only in a.jsonl, 1 only in b.jsonl, 2 equal\n']);
    expect(await cli.onTerminal(['files', 'diff', 'a.jsonl', 'b.jsonl'])).toContain(
      'changed 3\n  - three\n  + THREE\n',
    );
    expect(await files('diff', 'a.jsonl', 'a.jsonl')).toMatchObject({ exit: 0, stdout: '' });
  });

  it('compares tables by a column, and leaves out what calls cost', async () => {
    await write('a.csv', 'id,answer,error,model,input_tokens\nx,yes,,m,5\ny,,400 no,m,\n');
    await write('b.csv', 'id,answer,error,model,input_tokens\ny,no,,m,4\nx,yes,,other,6\n');
    const { stdout } = await files('diff', 'a.csv', 'b.csv', '--id', 'id');
    expect(linesOf(stdout)).toEqual(['{"custom_id":"y","change":"changed","before":"error: 400 no","after":"no"}']);
    expect((await files('diff', 'a.csv', 'b.csv')).stderr).toContain('a.csv: row 1 (line 2): there is no custom_id');
  });

  it('names the lines that have the same id', async () => {
    await write('a.jsonl', result('1', 'one') + result('2', 'two') + result('1', 'uno'));
    const { exit, stderr } = await files('diff', 'a.jsonl', 'a.jsonl');
    expect([exit, stderr]).toEqual([1, "a.jsonl:3: the id '1' is that of a.jsonl:1 too\nerror: nothing was started\n"]);
  });
});
