import { inLongForm } from '../../../tests/support/long-form.ts';
import { once } from 'node:events';
import { existsSync, readFileSync } from 'node:fs';
import { readdir, symlink, writeFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { gzipSync } from 'node:zlib';
import { parse } from 'csv-parse/sync';
import { parquetReadObjects } from 'hyparquet';
import { parquetWriteBuffer } from 'hyparquet-writer';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { type Cli, isRunning, kill, openCli, until } from './support/cli-process.ts';

const model = ['-m', 'simulator/echo'];

let cli: Cli;

beforeEach(async () => {
  cli = await openCli();
});

afterEach(() => cli.close());

const csv = (name: string): string[][] => parse(readFileSync(cli.path(name), 'utf8'));

const parquet = (name: string): Promise<Record<string, unknown>[]> => {
  const bytes = readFileSync(cli.path(name));
  return parquetReadObjects({ file: new Uint8Array(bytes).buffer });
};

const reviews = (count: number): { id: string; text: string }[] =>
  Array.from({ length: count }, (_, index) => ({ id: `r${index}`, text: `Review ${index}, "good"\nand {{id}}` }));

const csvOf = (rows: readonly { id: string; text: string }[]): string =>
  `id,text\n${rows.map(({ id, text }) => `${id},"${text.replaceAll('"', '""')}"\n`).join('')}`;

const parquetOf = (rows: readonly { id: string; text: string }[]): Uint8Array =>
  new Uint8Array(
    parquetWriteBuffer({
      columnData: [
        { name: 'id', data: rows.map(({ id }) => id) },
        { name: 'text', data: rows.map(({ text }) => text) },
      ],
      rowGroupSize: 25,
    }),
  );

const calls = (): { key: string }[] =>
  existsSync(cli.path('calls.jsonl'))
    ? cli.lines('calls.jsonl').map((line) => JSON.parse(line) as { key: string })
    : [];

/** The README's command that classifies the example's rows, as an argument list. */
const readmeExample = (): string[] => {
  const readme = readFileSync(new URL('../../../README.md', import.meta.url), 'utf8');
  const command = /^bin\/promptmill (run examples\/reviews\.csv (?:.*\\\n)*.*)$/m.exec(readme)?.[1] ?? '';
  return [...command.replaceAll('\\\n', ' ').matchAll(/'([^']*)'|(\S+)/g)].map(
    ([, quoted, bare]) => quoted ?? bare ?? '',
  );
};

it("the README's example classifies 200 rows into two columns, with what it cost", async () => {
  await symlink(fileURLToPath(new URL('../../../examples', import.meta.url)), cli.path('examples'));
  const { exit, stderr } = await cli.run(readmeExample());
  expect([exit, stderr]).toEqual([0, expect.stringContaining('200 completed, 0 failed of 200') as string]);
  const input = csv('examples/reviews.csv').slice(1);
  const [header, ...rows] = csv('rated.csv');
  const added = ['sentiment', 'topic', 'error', 'model', 'input_tokens', 'output_tokens', 'cost_usd'];
  expect(header).toEqual(['id', 'product', 'stars', 'review', ...added]);
  expect(rows.map((row) => row.slice(0, 4))).toEqual(input);
  let sum = 0;
  for (const [, , , , sentiment, topic, error, model, inputTokens, outputTokens, costUsd] of rows) {
    expect(['positive', 'mixed', 'negative']).toContain(sentiment);
    expect(['quality', 'price', 'delivery', 'use']).toContain(topic);
    expect([error, model]).toEqual(['', 'json']);
    expect(Number(costUsd)).toBeCloseTo((0.2 * Number(inputTokens) + 0.5 * Number(outputTokens)) / 1e6, 12);
    sum += Number(costUsd);
  }
  expect(Number(/price +\$(\d\.\d+)/.exec(stderr)?.[1])).toBeCloseTo(sum, 4);
});

describe('run with a table', () => {
  it('reads what spreadsheets write, and answers each row in its place', async () => {
    const long = 'é'.repeat(2 ** 20);
    const table = `\uFEFFid;text;stars\r\na;"one;\ntwo";5\r\nb;${long};4\r\nc;"[[sim:status=400]]";1\r\n`;
    await writeFile(cli.path('reviews.csv.gz'), gzipSync(table));
    await writeFile(cli.path('prompt.txt'), 'Rate {{stars}}: {{text}}\n');
    await writeFile(cli.path('out.csv'), 'old');
    const { exit, stderr } = await cli.run([
      'run',
      'reviews.csv.gz',
      ...model,
      '-p',
      '@prompt.txt',
      '--id',
      'id',
      '-o',
      'out.csv',
      '--param',
      'user=x',
      '--params',
      '{"top_p": 0.5}',
    ]);
    expect(stderr).toContain('3 prompts of reviews.csv.gz');
    expect(exit).toBe(1);
    const [header, ...rows] = csv('out.csv');
    expect(header).toEqual([
      'id',
      'text',
      'stars',
      'answer',
      'error',
      'model',
      'input_tokens',
      'output_tokens',
      'cost_usd',
    ]);
    expect(rows.map(([id, , , answer, error]) => [id, answer, error?.slice(0, 4)])).toEqual([
      ['a', 'Rate 5: one;\ntwo', ''],
      ['b', `Rate 4: ${long}`, ''],
      ['c', '', '400 '],
    ]);
    expect(await readdir(cli.path('.'))).toEqual(['data', 'out.csv', 'prompt.txt', 'reviews.csv.gz']);
  });

  it('goes to another endpoint, from standard input to a table', async () => {
    const args = ['run', '-', ...model, '--format', 'tsv', '--endpoint', 'embeddings', '-p', '{{text}}'];
    const { stdin, ended } = cli.start([...args, '-o', 'vectors.tsv', '-q']);
    stdin.end('text\nHi\n');
    expect(await ended).toMatchObject({ exit: 0, stderr: '' });
    const [, row = []] = parse(readFileSync(cli.path('vectors.tsv'), 'utf8'), { delimiter: '\t' });
    expect([row[0], (JSON.parse(row[1] ?? '') as number[]).length]).toEqual(['Hi', 8]);
  });

  it('--answers prints the answers alone, and its reader may go away', async () => {
    await writeFile(
      cli.path('many.json'),
      JSON.stringify(Array.from({ length: 2000 }, (_, i) => `${i} ${'x'.repeat(99)}`)),
    );
    const { child, ended } = cli.start(['run', 'many.json', ...model, '--answers', '-q']);
    const [first] = (await once(child.stdout, 'data')) as [string];
    child.stdout.destroy();
    expect(first).toMatch(/^0 x+\n/);
    expect(await ended).toMatchObject({ exit: 0, stderr: '' });
    await until('its Redis is gone', () => !cli.redisPids().some(isRunning));
    expect((await readdir(cli.path('data/runs'))).filter((name) => name.startsWith('new-'))).toEqual([]);
  });
});

describe('run with a table, run again after a kill -9', () => {
  const total = 60;
  const concurrency = 5;

  const kinds: readonly [string, string | Uint8Array, () => unknown][] = [
    ['csv', csvOf(reviews(total)), () => csv('out.csv').map((row) => row.slice(0, 3))],
    [
      'parquet',
      parquetOf(reviews(total)),
      async () => [
        ['id', 'text', 'answer'],
        ...(await parquet('out.parquet')).map(({ id, text, answer }) => [id, text, answer]),
      ],
    ],
  ];
  it.each(inLongForm ? kinds : kinds.slice(1))(
    'carries on, pays for nothing twice and writes %s whole',
    async (extension, content, read) => {
      await writeFile(cli.path(`reviews.${extension}`), content);
      const output = `out.${extension}`;
      const command = [
        'run',
        `reviews.${extension}`,
        ...model,
        '-p',
        'Rate: {{text}}',
        '--id',
        'id',
        '-o',
        output,
        '-c',
        String(concurrency),
      ];
      const env = { SIMULATOR_LATENCY_MS: '200', SIMULATOR_CALL_LOG: cli.path('calls.jsonl') };
      const killed = cli.start(command, env);
      await until('a third is answered', () => calls().length >= total / 3);
      const redisPids = cli.redisPids();
      kill(-(killed.child.pid ?? 0));
      for (const pid of redisPids) kill(pid);
      expect((await killed.ended).exit).toBe('SIGKILL');
      expect(existsSync(cli.path(output))).toBe(false);

      const { exit, stderr } = await cli.run(command, { ...env, SIMULATOR_LATENCY_MS: '20' });
      expect(stderr).toContain('carrying on: ');
      expect(exit).toBe(0);
      expect(await read()).toEqual([
        ['id', 'text', 'answer'],
        ...reviews(total).map(({ id, text }) => [id, text, `Rate: ${text}`]),
      ]);
      // Only calls in flight may be repeated. The log may lack the last calls before the kill.
      expect(calls().length - new Set(calls().map(({ key }) => key)).size).toBeLessThanOrEqual(concurrency);
      expect(calls().length).toBeLessThanOrEqual(total + concurrency);
    },
  );
});
