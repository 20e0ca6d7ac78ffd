import { fileKey } from '@promptmill/core';
import { parquetWriteBuffer } from 'hyparquet-writer';
import { toFile } from 'openai';
import { afterAll, beforeAll, describe, expect, inject, it } from 'vitest';
import { startTestApi, type TestApi } from './support/test-api.ts';

let api: TestApi;

beforeAll(async () => {
  api = await startTestApi({ redisUrl: inject('redisUrl'), env: { PROMPTMILL_MAX_LINE_BYTES: '10000' } });
});
afterAll(() => api.close());

interface Preview {
  readonly format: string;
  readonly columns: { name: string; example: string }[];
  readonly requests: { custom_id: string; url: string; body?: { messages: { content: string }[] } }[];
  readonly problems: string[];
}

interface Conversion {
  readonly file: { id: string; filename: string } | null;
  readonly endpoint: string | null;
  readonly requests: number;
  readonly problems: string[];
}

const model = 'simulator/echo';
const reviews = 'id,review\nr1,Good\nr2,"Bad,\nvery bad"\nr3,Fine\n';

const upload = async (content: string | Uint8Array, name: string): Promise<string> =>
  (await api.alice.files.create({ file: await toFile(Buffer.from(content), name), purpose: 'batch' })).id;

const preview = (fileId: string, body: object): Promise<Preview> =>
  api.alice.post(`/files/${fileId}/preview`, { body });
const convert = (fileId: string, body: object): Promise<Conversion> =>
  api.alice.post(`/files/${fileId}/convert`, { body });

const linesOf = async (fileId: string | undefined): Promise<{ custom_id: string; body: unknown }[]> => {
  const text = await (await api.alice.files.content(fileId ?? '')).text();
  return text
    .split('\n')
    .filter(Boolean)
    .map((line) => JSON.parse(line) as { custom_id: string; body: unknown });
};

const asked = ({ requests }: Preview): unknown[] => requests.map(({ body }) => body?.messages.at(-1)?.content);

describe('a preview', () => {
  it('shows the columns of a table, and the first requests that a template makes of it', async () => {
    const id = await upload(reviews, 'reviews.csv');
    const found = await preview(id, { model, prompt: 'Rate {{review}}', system: 'You rate {{id}}.', id_column: 'id' });
    expect(found).toMatchObject({
      format: 'csv',
      columns: [
        { name: 'id', example: 'r1' },
        { name: 'review', example: 'Good' },
      ],
      problems: [],
    });
    expect(found.requests[1]).toEqual({
      custom_id: 'r2',
      url: '/v1/chat/completions',
      body: {
        model,
        messages: [
          { role: 'system', content: 'You rate r2.' },
          { role: 'user', content: 'Rate Bad,\nvery bad' },
        ],
      },
    });
  });

  it('takes the first five of a long text', async () => {
    const id = await upload('\nsay 1\n'.repeat(1000), 'prompts.txt');
    const found = await preview(id, { model, params: { max_tokens: 5 } });
    expect(asked(found)).toEqual(Array(5).fill('say 1'));
    expect(found.requests.map(({ custom_id }) => custom_id)[4]).toBe('request-10');
    expect(found.columns).toEqual([{ name: 'text', example: 'say 1' }]);
  });

  it('says what is wrong, and where', async () => {
    const id = await upload(reviews, 'reviews.csv');
    expect((await preview(id, { model, prompt: '{{text}}' })).problems).toEqual([
      'row 1 (line 2): no column `text`: the columns are id, review (on 3 rows)',
    ]);
    expect((await preview(id, { model })).problems).toEqual([
      'row 1 (line 2): a table needs a prompt that names its columns (on 3 rows)',
    ]);
    expect((await preview(id, { prompt: '{{review}}' })).problems).toEqual([
      'row 1 (line 2): no model: `model` names one for all requests (on 3 rows)',
    ]);
    const [unknown] = (await preview(id, { model: 'nobody/x', prompt: '{{review}}' })).problems;
    expect(unknown).toContain('nobody/x');
  });

  it('refuses a request that is longer than a line may be, before it is made', async () => {
    const id = await upload(`text\n${'x'.repeat(9000)}\n`, 'long.csv');
    const { problems } = await preview(id, { model, prompt: '{{text}}'.repeat(10_000) });
    expect(problems).toEqual(['row 1 (line 2): longer than 10000 bytes']);
  });

  it.each([
    ['a template with a typo', 'a.csv', reviews, { prompt: '{{id}' }, 'template_invalid', 'prompt'],
    ['a name that says nothing', 'a.log', 'x', {}, 'format_unknown', 'format'],
    ['a spreadsheet', 'a.xlsx', 'PK\u0003\u0004', {}, 'format_unknown', 'format'],
    ['a compressed file', 'a.csv.gz', '\u001f\u008b', {}, 'format_unknown', 'format'],
    ['a column without a prompt', 'a.csv', reviews, { id_column: 'id' }, 'invalid_value', 'id_column'],
  ])('refuses %s', async (_what, name, content, body, code, param) => {
    const id = await upload(Buffer.from(content, 'latin1'), name);
    await expect(preview(id, { model, ...body })).rejects.toMatchObject({ status: 400, code, param });
  });
});

describe('a conversion', () => {
  it('makes an input file of a table, and a batch of that file runs', async () => {
    const id = await upload(reviews, 'reviews.csv');
    const made = await convert(id, { model, prompt: 'Rate {{review}}', id_column: 'id' });
    expect(made).toMatchObject({ requests: 3, endpoint: '/v1/chat/completions', problems: [] });
    expect(made.file?.filename).toBe('reviews.jsonl');
    const lines = await linesOf(made.file?.id);
    expect(lines.map(({ custom_id }) => custom_id)).toEqual(['r1', 'r2', 'r3']);
    const batch = await api.alice.batches.create({
      input_file_id: made.file?.id ?? '',
      endpoint: '/v1/chat/completions',
      completion_window: '24h',
    });
    expect(batch.status).toBe('validating');
  });

  it('makes the same of Parquet, which is read in a thread', async () => {
    const rows = Array.from({ length: 2500 }, (_, i) => i);
    const bytes = parquetWriteBuffer({
      columnData: [
        { name: 'n', data: rows, type: 'INT32' },
        { name: 'text', data: rows.map((i) => `Say ${i}`), type: 'STRING' },
      ],
    });
    const id = await upload(new Uint8Array(bytes), 'rows.parquet');
    expect(asked(await preview(id, { model, prompt: '{{text}}!' }))[4]).toBe('Say 4!');
    const { file, requests } = await convert(id, { model, prompt: '{{n}} {{text}}' });
    expect(requests).toBe(2500);
    expect((await linesOf(file?.id)).at(-1)).toMatchObject({
      custom_id: 'request-2500',
      body: { messages: [{ role: 'user', content: '2499 Say 2499' }] },
    });
  });

  it('says that a Parquet file is broken', async () => {
    const id = await upload(`PAR1${'x'.repeat(100)}PAR1`, 'broken.parquet');
    expect((await convert(id, { model, prompt: 'x' })).problems[0]).toMatch(/^cannot read this Parquet file: /);
    expect((await preview(id, { model, prompt: 'x' })).problems[0]).toMatch(/^cannot read this Parquet file: /);
  });

  it('makes nothing when anything is wrong, and says what and where', async () => {
    const id = await upload('id,review\nr1,Good\nr2\nr1,Fine\n', 'reviews.csv');
    const storedFiles = async () => (await api.stored()).filter((key) => key.startsWith('files/')).toSorted();
    const before = await storedFiles();
    expect(await convert(id, { model, prompt: '{{review}}' })).toMatchObject({
      file: null,
      problems: ['row 2 (line 3): 1 cell, where the header has 2'],
    });
    const twice = await upload('id,review\nr1,Good\nr2,Bad\nr1,Fine\n', 'reviews.csv');
    expect((await convert(twice, { model, prompt: '{{review}}', id_column: 'id' })).problems).toEqual([
      "row 3: The custom_id 'r1' is used on line 1 already.",
    ]);
    const empty = await upload('\n\n', 'empty.txt');
    expect((await convert(empty, { model })).problems).toEqual(['There are no prompts in it.']);
    expect(await storedFiles()).toEqual([...before, fileKey(twice), fileKey(empty)].toSorted());
  });

  it('counts as an upload of its tenant', async () => {
    const id = await upload(reviews, 'reviews.csv');
    api.setTenants({ alice: { storedBytes: 1 } });
    await expect(convert(id, { model, prompt: '{{review}}' })).rejects.toMatchObject({
      status: 507,
      code: 'too_many_stored_bytes',
    });
    api.setTenants({});
  });
});
