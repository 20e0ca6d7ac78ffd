import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { runInProcess } from './support/run-in-process.ts';

let folder: string;

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'promptmill-input-'));
});

afterEach(() => rm(folder, { recursive: true }));

const run = async (args: readonly string[], stdin = ''): Promise<{ exit: number; stdout: string; stderr: string }> => {
  const env = { PROMPTMILL_DATA_DIR: join(folder, 'data'), SIMULATOR_CALL_LOG: join(folder, 'data/calls.jsonl') };
  const ended = await runInProcess(args, { env, stdin });
  return { ...ended, stderr: ended.stderr.replaceAll(`${folder}/`, '') };
};

const image = Buffer.from('89504e470d0a1a0a0000', 'hex');

/** What each test finds in its folder. */
const files: Readonly<Record<string, string | Uint8Array>> = {
  'good.csv': 'id,text\n1,one\n2,two\n3,three\n',
  'ragged.csv': '\uFEFFid,text\r\n1,"one\r\nand a half"\r\n2\r\n3,three,more\r\n',
  'quote.csv': 'id,text\n1,one\n2,"two\n3,three\n',
  'latin1.csv': Buffer.from('id,text\n1,one\n2,caf\u00e9\n', 'latin1'),
  'utf16.csv': Buffer.from('\uFEFFid,text\n1,one\n', 'utf16le'),
  'twice.csv': 'id,text\na,one\nb,two\na,three\nb,four\n',
  'no-id.csv': 'id,text\na,one\n,two\n',
  'columns.csv': 'id,text,id\n1,one,2\n',
  'long.csv': `id,text\n1,${'x'.repeat(17 * 2 ** 20)}\n`,
  'empty.csv': '',
  'header.csv': 'id,text\n',
  'images.csv': 'file,text\na.png,one\nnone.png,two\nb.png,three\n',
  'a.png': image,
  'b.png': 'no image',
  'rows.jsonl': '{"text":"one"}\n{"review":"two"}\n',
  'cut.json': '["one", "two"',
  'number.json': '["one", 2]',
  'schema.json': '{"type": "objekt"}',
  'cut-schema.json': '{"type": "object"',
  'notes.log': 'one\n',
  'book.xlsx': 'PK\u0003\u0004',
  'text.parquet': 'id,text\n',
  'torn.parquet': 'PAR1 and then nothing',
  'cut.csv.gz': gzipSync('id,text\n1,one\n').subarray(0, 25),
  'out.csv': 'as it was',
};

const ask = ['-p', 'Rate: {{text}}'];
const nothingStarted = 'error: nothing was started\n';

describe('an input that is wrong is refused, and nothing is written', () => {
  it.each<[string, string[], string]>([
    [
      'a table without a template',
      ['good.csv'],
      "error: good.csv is a table with the columns id, text: say what to ask of each row, such as --prompt 'Classify: {{text}}'\n",
    ],
    [
      'ragged rows',
      ['ragged.csv', ...ask],
      'ragged.csv: row 2 (line 4): 1 cell, where the header has 2\n' +
        `ragged.csv: row 3 (line 5): 3 cells, where the header has 2\n${nothingStarted}`,
    ],
    [
      'an open quote',
      ['quote.csv', ...ask],
      `quote.csv: row 2 (line 3): a quote opens and does not close\n${nothingStarted}`,
    ],
    [
      'text that is not UTF-8',
      ['latin1.csv', ...ask],
      `latin1.csv: row 2 (line 3): not UTF-8 text: save the file as UTF-8\n${nothingStarted}`,
    ],
    [
      'UTF-16, as some spreadsheets write it',
      ['utf16.csv', ...ask],
      `utf16.csv: header (line 1): not UTF-8 text: save the file as UTF-8\n${nothingStarted}`,
    ],
    [
      'ids that come twice',
      ['twice.csv', ...ask, '--id', 'id'],
      "twice.csv: row 3: the custom_id 'a' is that of row 1 too\n" +
        `twice.csv: row 4: the custom_id 'b' is that of row 2 too\n${nothingStarted}`,
    ],
    [
      'an empty id',
      ['no-id.csv', ...ask, '--id', 'id'],
      `no-id.csv: row 2 (line 3): the column \`id\` is empty, and is to name the request\n${nothingStarted}`,
    ],
    [
      'a missing column',
      ['good.csv', '-p', '{{txt}}'],
      `good.csv: row 1 (line 2): no column \`txt\`: the columns are id, text (on 3 rows)\n${nothingStarted}`,
    ],
    [
      'a missing column in some row',
      ['rows.jsonl', ...ask],
      `rows.jsonl:2: no column \`text\`: the columns are review\n${nothingStarted}`,
    ],
    [
      'two columns of one name',
      ['columns.csv', ...ask],
      `columns.csv: header (line 1): two columns have the name \`id\`\n${nothingStarted}`,
    ],
    [
      'a cell of 17 MiB',
      ['long.csv', ...ask],
      'long.csv: row 1 (line 2): longer than 16777216 bytes, or a quote opens and does not close\n' + nothingStarted,
    ],
    [
      'images that are missing, or no images',
      ['images.csv', ...ask, '--image', 'file'],
      'images.csv: row 2 (line 3): cannot read the image none.png: ENOENT\n' +
        `images.csv: row 3 (line 4): b.png is no PNG, JPEG, GIF or WebP image\n${nothingStarted}`,
    ],
    ['an array that does not end', ['cut.json'], `cut.json: row 2: the JSON array does not end\n${nothingStarted}`],
    [
      'an element that is no prompt',
      ['number.json'],
      `number.json: row 2: neither a string nor an object\n${nothingStarted}`,
    ],
    ['an empty file', ['empty.csv', ...ask], 'error: empty.csv holds no prompts\n'],
    ['a header alone', ['header.csv', ...ask], 'error: header.csv holds no prompts\n'],
    ['no such file', ['none.csv', ...ask], 'error: there is no file none.csv\n'],
    [
      'an unknown extension',
      ['notes.log', ...ask],
      'error: cannot tell from its name what notes.log holds; --format text|jsonl|json|csv|tsv|parquet says how to read it\n',
    ],
    [
      'a spreadsheet',
      ['book.xlsx', ...ask],
      'error: book.xlsx is a spreadsheet or a zip archive: save the table in it as CSV\n',
    ],
    [
      'a name that lies',
      ['text.parquet', ...ask],
      'error: text.parquet is no Parquet file; --format text|jsonl|json|csv|tsv|parquet says how to read it\n',
    ],
    ['a damaged gzip file', ['cut.csv.gz', ...ask], 'error: cut.csv.gz is a damaged gzip file\n'],
    [
      'an output in a folder that is not there',
      ['good.csv', ...ask, '-o', 'no/out.csv'],
      'error: cannot write no/out.csv: make the folder no first, or name another with -o\n',
    ],
    ['an output that is a folder', ['good.csv', ...ask, '-o', '.'], 'error: no is a folder: name a file with -o\n'],
    [
      'a schema that is none',
      ['good.csv', ...ask, '--schema', '@schema.json'],
      'error: --schema @schema.json is no JSON Schema: /type must be equal to one of the allowed values: ' +
        '["array","boolean","integer","null","number","object","string"]\n',
    ],
    [
      'a schema that is no JSON',
      ['good.csv', ...ask, '--schema', '@cut-schema.json'],
      "error: --schema @cut-schema.json is not JSON: Expected ',' or '}' after property value in JSON at position 17 (line 1 column 18)\n",
    ],
    [
      'a schema that is not there',
      ['good.csv', ...ask, '--schema', '@none.json'],
      'error: --schema: cannot read none.json: there is no such file\n',
    ],
    [
      'an output of an unknown kind',
      ['good.csv', ...ask, '-o', 'out.xlsx'],
      'error: cannot tell from its name what out.xlsx is to hold: it may end in .jsonl, .ndjson, .csv, .tsv, .parquet, .txt, .md\n',
    ],
    ['a template with a typo', ['good.csv', '-p', '{{text}'], 'error: --prompt: a {{ begins no {{column}}\n'],
    [
      'a template that is not there',
      ['good.csv', '-p', '@none.txt'],
      'error: --prompt: cannot read none.txt: there is no such file\n',
    ],
    [
      'an id without a template',
      ['rows.jsonl', '--id', 'text'],
      "error: --id names a column: it needs --prompt, such as --prompt '{{text}}'\n",
    ],
    [
      'a system message for embeddings',
      ['good.csv', ...ask, '--endpoint', 'embeddings', '--system', 'x'],
      'error: --system does not go with --endpoint embeddings\n',
    ],
    [
      'params that are none',
      ['good.csv', ...ask, '--params', '[1]'],
      'error: --params must be a JSON object, or @file with one in it\n',
    ],
    [
      'params that other options give',
      ['good.csv', ...ask, '--params', '{"model":"x"}'],
      'error: --params: model is not a parameter: it comes from elsewhere\n',
    ],
  ])('%s', async (_what, [input = '', ...options], message) => {
    for (const [name, content] of Object.entries(files)) await writeFile(join(folder, name), content);
    const inFolder = options.map((option, index) => {
      if (options[index - 1] === '-o') return join(folder, option);
      return option.startsWith('@') ? `@${join(folder, option.slice(1))}` : option;
    });
    const output = inFolder.includes('-o') ? [] : ['-o', join(folder, 'out.csv')];
    const { exit, stdout, stderr } = await run([
      'run',
      join(folder, input),
      '-m',
      'simulator/echo',
      ...inFolder,
      ...output,
    ]);
    expect(stderr.replaceAll(folder, 'no')).toBe(message);
    expect([exit, stdout]).toEqual([1, '']);
    expect(await readFile(join(folder, 'out.csv'), 'utf8')).toBe('as it was');
    expect((await readdir(folder)).filter((name) => name !== 'data').toSorted()).toEqual(Object.keys(files).toSorted());
    expect(await readdir(join(folder, 'data/runs')).catch(() => [])).toEqual([]);
    // The simulator would have noted its calls.
    expect(await readdir(join(folder, 'data')).catch(() => ['runs'])).toEqual(['runs']);
  });

  it.each([
    [['--param', 'top_p']],
    [['--param', 'model=x']],
    [['--endpoint', 'videos']],
    [['--format', 'xml']],
    [['--limit', '1', '--sample', '1']],
    [['--answers', '-o', 'x']],
  ])('a wrong command line, with exit code 2: %s', async (options) => {
    expect((await run(['run', 'a.csv', ...options])).exit).toBe(2);
  });
});

describe('an input that only looks wrong is taken', () => {
  it.each<[string, string, string, number]>([
    ['a byte order mark', '\uFEFFtext\none\ntwo\n', 'one', 2],
    ['CRLF, and no line break at the end', 'text,id\r\none,1\r\ntwo,2', 'one', 2],
    ['line breaks and quotes in a cell', 'text\n"a ""b""\r\n\nc"\ntwo\n', 'a "b"\r\n\nc', 2],
    ['blank lines', '\n\ntext,id\none,1\n\n', 'one', 1],
    ['a cell of 2 MB', `text\n${'é'.repeat(1_000_000)}\ntwo\n`, 'é'.repeat(1_000_000), 2],
  ])('%s', async (_what, table, text, requests) => {
    const args = ['run', '-', '--format', 'csv', '-m', 'simulator/echo', '-p', '{{text}}', '--dry-run'];
    const { exit, stdout, stderr } = await run(args, table);
    expect(stderr).toMatch(new RegExp(`^${requests} requests? of stdin; nothing was called\\n`));
    expect([exit, JSON.parse(stdout)]).toEqual([
      0,
      { model: 'simulator/echo', messages: [{ role: 'user', content: text }] },
    ]);
    expect(await readdir(folder)).toEqual([]);
  });
});

describe('--dry-run', () => {
  it('shows the first request, how many there are, and what they use and cost', async () => {
    const options = ['-p', 'Rate: {{text}}', '--system', '@@me {{id}}', '--param', 'top_p=0.5', '--param', 'user=bob'];
    const { exit, stdout, stderr } = await run(
      ['run', '-', '--format', 'csv', '-m', 'xai/grok-4', ...options, '--max-tokens', '5', '--limit', '2', '--dry-run'],
      files['good.csv'] as string,
    );
    // 9 tokens of texts and 7 for the form of a chat in each.
    expect(stderr).toMatch(
      /^2 requests of stdin; nothing was called\n {2}tokens {4}32 in, at most 10 out\n {2}price {5}\$0\.0\d+ to \$0\.0\d+\nthe first, request-1 to \/v1\/chat\/completions:\n$/,
    );
    expect(JSON.parse(stdout)).toEqual({
      top_p: 0.5,
      user: 'bob',
      max_tokens: 5,
      model: 'xai/grok-4',
      messages: [
        { role: 'system', content: '@me 1' },
        { role: 'user', content: 'Rate: one' },
      ],
    });
    expect(exit).toBe(0);
    expect(await readdir(folder)).toEqual([]);
  });

  it('says that a price is unknown, and what it is at least where nothing limits the answers', async () => {
    await writeFile(join(folder, 'a.txt'), 'one\ntwo\n');
    const dry = async (model: string) =>
      (await run(['run', join(folder, 'a.txt'), '-m', model, '--dry-run'])).stderr.split('\n').slice(1, 3);
    expect(await dry('simulator/echo')).toEqual([
      '  tokens    18 in; nothing limits the answers, --max-tokens does',
      '  price     unknown: nothing says what simulator/echo costs; prices in promptmill.yaml can',
    ]);
    expect((await dry('simulator/json'))[1]).toBe('  price     at least $0.0000036');
  });

  it('takes the rows of the example', async () => {
    const { pathname } = new URL('../../../examples/reviews.csv', import.meta.url);
    const { exit, stderr } = await run(['run', pathname, '-m', 'm', '-p', '{{review}}', '--id', 'id', '--dry-run']);
    expect([exit, stderr]).toEqual([
      0,
      expect.stringMatching(/^200 requests of .*\n.*\n.*\nthe first, r001 to /) as string,
    ]);
  });

  it('shows an image from beside the input as a data URL', async () => {
    await writeFile(join(folder, 'a.png'), image);
    await writeFile(join(folder, 'images.jsonl'), '{"file":"a.png"}\n');
    const args = ['submit', join(folder, 'images.jsonl'), '-m', 'm', '-p', 'What?', '--image', 'file'];
    const { stdout, stderr } = await run([...args, '--endpoint', 'responses', '--sample', '5', '--dry-run']);
    expect(stderr).toContain(' in without the images; nothing limits the answers');
    expect(JSON.parse(stdout)).toEqual({
      model: 'm',
      input: [
        {
          role: 'user',
          content: [
            { type: 'input_text', text: 'What?' },
            { type: 'input_image', image_url: `data:image/png;base64,${image.toString('base64')}` },
          ],
        },
      ],
    });
  });
});
