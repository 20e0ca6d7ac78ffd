import { readFileSync } from 'node:fs';
import { readdir, writeFile } from 'node:fs/promises';
import { parse } from 'csv-parse/sync';
import { parquetReadObjects } from 'hyparquet';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { type Cli, openCli } from './support/cli-process.ts';

const rating = {
  type: 'object',
  properties: {
    label: { enum: ['=good'] },
    stars: { type: 'integer', minimum: 1 },
    why: { type: 'array', items: { type: 'string' } },
  },
  required: ['label', 'stars', 'why'],
  additionalProperties: false,
};

let cli: Cli;

beforeEach(async () => {
  cli = await openCli();
  await writeFile(cli.path('rating.json'), JSON.stringify(rating));
});

afterEach(() => cli.close());

/** 20 rows: the simulator answers two of them wrongly at first, and one always. */
const texts = Array.from({ length: 20 }, (_, i) => {
  if (i === 3 || i === 11) return `${i} [[sim:mismatch=first]]`;
  return i === 17 ? `${i} [[sim:mismatch=always]]` : `${i} fine`;
});

const run = (output: string, ...more: string[]) =>
  cli.run('run reviews.csv -m simulator/json -p {{label}} --schema @rating.json -o'.split(' ').concat(output, more), {
    SIMULATOR_CALL_LOG: cli.path('calls.jsonl'),
  });

it('answers of a schema become columns; what does not match is mended by a second ask, or is an error', async () => {
  await writeFile(cli.path('reviews.csv'), `label\n${texts.map((text) => `${text}\n`).join('')}`);
  const { exit, stderr } = await run('rated.csv');
  expect(exit).toBe(1);
  expect(stderr).toMatch(
    /failed +1 × schema_mismatch, such as \S+: The answer does not match its schema: .*must have required/,
  );
  const [header, ...rows] = parse(readFileSync(cli.path('rated.csv'), 'utf8'));
  expect(header).toEqual([
    'label',
    'label_2',
    'stars',
    'why',
    'error',
    'model',
    'input_tokens',
    'output_tokens',
    'cost_usd',
  ]);
  expect(rows.map(([text, label, stars, why, error]) => [text, label, stars, why, error?.slice(0, 15)])).toEqual(
    texts.map((text, i) => (i === 17 ? [text, '', '', '', 'schema_mismatch'] : [text, "'=good", '1', '["text"]', ''])),
  );
  // One call for each row, and one more for each of the three.
  expect(cli.lines('calls.jsonl')).toHaveLength(23);
});

it('writes Parquet with the types of the schema, for the endpoint of responses too', async () => {
  await writeFile(cli.path('reviews.csv'), `label\nfine\n${texts[3]}\n${texts[17]}\n`);
  expect(
    await run('rated.parquet', '--endpoint', 'responses', '--params', '{"text": {"verbosity": "low"}}'),
  ).toMatchObject({
    exit: 1,
  });
  const file = new Uint8Array(readFileSync(cli.path('rated.parquet'))).buffer;
  expect(await parquetReadObjects({ file })).toMatchObject([
    { label_2: '=good', stars: 1n, why: '["text"]', error: null },
    { label_2: '=good', stars: 1n, why: '["text"]', error: null },
    { label_2: null, stars: null, why: null, error: expect.stringContaining('schema_mismatch') as string },
  ]);
});

it.each<[schema: string, message: RegExp, ...options: string[]]>([
  ['@broken.json', /--schema @broken\.json is not JSON: .*line 2 column 11/],
  ['@type.json', /--schema @type\.json is no JSON Schema: \/properties\/stars\/type must be/],
  [
    '{"$ref": "https://example.com/a"}',
    /--schema is no JSON Schema: can't resolve reference https:\/\/example\.com\/a/,
  ],
  ['@none.json', /--schema: cannot read none\.json: there is no such file/],
  ['{}', /--schema sets the format of answers/, '--params', '{"response_format": {"type": "json_object"}}'],
  ['{}', /--schema does not go with --endpoint embeddings/, '--endpoint', 'embeddings'],
])('refuses %s before anything is sent', async (schema, message, ...more) => {
  await writeFile(cli.path('prompts.txt'), 'Rate it.\n');
  await writeFile(cli.path('broken.json'), '{\n"type": 1,}\n');
  await writeFile(cli.path('type.json'), JSON.stringify({ properties: { stars: { type: 'strin' } } }));
  const { exit, stderr } = await cli.run(['run', 'prompts.txt', '-m', 'simulator/json', '--schema', schema, ...more]);
  expect(stderr).toMatch(message);
  expect(exit).toBe(1);
  expect((await readdir(cli.path('.'))).filter((name) => name.includes('results') || name.includes('calls'))).toEqual(
    [],
  );
});
