import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type Conversion, convertInput, type ConvertOptions } from './convert-input.ts';
import { takeFirst, takeSample } from './choose-records.ts';
import { readRecords } from './read-records.ts';

const composition = { model: 'simulator/echo' };

async function* inChunks(bytes: Uint8Array, size: number): AsyncGenerator<Uint8Array> {
  for (let start = 0; start < bytes.length; start += size) yield bytes.subarray(start, start + size);
}

const convert = async (
  input: string | Uint8Array,
  options: Partial<ConvertOptions> = {},
  chunkBytes = 1000,
): Promise<Conversion & { lines: string[]; rows: string[] }> => {
  const { format = 'text' } = options;
  const opened = {
    format,
    bytes: () => inChunks(Buffer.from(input), chunkBytes),
    parquet: () => {
      throw new Error('not a Parquet file');
    },
  };
  const blocks = convertInput(readRecords(opened, 1000), { format, composition, maxLineBytes: 1000, ...options });
  let lines = '';
  let rows = '';
  for (;;) {
    const next = await blocks.next();
    if (next.done) return { ...next.value, lines: lines.split('\n').slice(0, -1), rows: rows.split('\n').slice(0, -1) };
    lines += next.value.lines;
    rows += next.value.rows;
  }
};

describe('convertInput', () => {
  it('keeps line numbers and blank lines, and drops a byte order mark and carriage returns', async () => {
    const { lines, requests, endpoint, models } = await convert('\uFEFFone\r\n\r\n  \ntwo');
    expect(lines.map((line) => line && (JSON.parse(line) as { custom_id: string }).custom_id)).toEqual([
      'request-1',
      '',
      '',
      'request-4',
    ]);
    expect(requests).toBe(2);
    expect(endpoint).toBe('/v1/chat/completions');
    expect([...models]).toEqual([['simulator/echo', 1]]);
  });

  it('lists each problem once, with its first line and its number of lines', async () => {
    const input = `{"prompt":"fine"}\n${'{"promt":"x"}\n'.repeat(30)}`;
    const { problems, badRecords, requests } = await convert(input, { format: 'jsonl' });
    expect(problems).toEqual([
      { number: 2, message: expect.stringContaining('unknown key `promt`') as string, count: 30 },
    ]);
    expect([badRecords, requests]).toEqual([30, 1]);
  });

  it('yields what a few bytes become in pieces that fit in memory', async () => {
    const records = async function* () {
      yield Array.from({ length: 1000 }, (_, i) => ({ kind: 'text', number: i + 1, text: 'x' }) as const);
    };
    const system = 'x'.repeat(10_000);
    const options = { format: 'text', composition: { ...composition, system }, maxLineBytes: 20_000 } as const;
    const sizes: number[] = [];
    for await (const { lines } of convertInput(records(), options)) sizes.push(lines.length);
    expect(Math.max(...sizes)).toBeLessThan(1_200_000);
    expect(sizes.reduce((sum, size) => sum + size, 0)).toBeGreaterThan(10_000_000);
  });

  it('refuses a line that is too long or not UTF-8', async () => {
    expect((await convert(`ok\n${'x'.repeat(1001)}\n`)).problems).toEqual([
      { number: 2, message: 'longer than 1000 bytes', count: 1 },
    ]);
    expect((await convert(Buffer.from([0x68, 0xe9, 0x0a]))).problems).toEqual([
      { number: 1, message: 'not UTF-8 text: save the file as UTF-8', count: 1 },
    ]);
  });

  it('makes one request from each line that is not blank, however the text is cut into chunks', async () => {
    const anyLine = fc.string({ unit: 'binary', maxLength: 60 }).filter((text) => !/[\r\n]/.test(text));
    await fc.assert(
      fc.asyncProperty(
        fc.array(anyLine, { maxLength: 20 }),
        fc.integer({ min: 1, max: 90 }),
        async (texts, chunkBytes) => {
          const { lines, requests, badRecords } = await convert(
            texts.map((text) => `${text}\n`).join(''),
            { format: 'text' },
            chunkBytes,
          );
          const prompts = lines.map((line) =>
            line === ''
              ? ''
              : (JSON.parse(line) as { body: { messages: [{ content: string }] } }).body.messages[0].content,
          );
          // A byte order mark at the start of the input is not part of the text.
          expect(prompts).toEqual(texts.map((text) => text.trim()));
          expect(requests).toBe(texts.filter((text) => text.trim() !== '').length);
          expect(badRecords).toBe(0);
        },
      ),
    );
  });
});

const prompt = (text: string) => ({
  parts: text.split(/\{\{(\w+)\}\}/).map((part, i) => (i % 2 ? { column: part } : part)),
});

describe('a template', () => {
  const rows = { prompt: prompt('Classify: {{text}}'), system: undefined, idColumn: undefined, imageColumn: undefined };
  const table = 'id,text\na,one\nb,"{{id}}"\n';
  const contents = (lines: readonly string[]) =>
    lines.map(
      (line) =>
        line && (JSON.parse(line) as { body: { messages: { content: unknown }[] } }).body.messages.at(-1)?.content,
    );

  it('makes a request of each row, and keeps the row', async () => {
    const {
      lines,
      rows: kept,
      columns,
    } = await convert(table, { format: 'csv', composition: { ...composition, rows } });
    expect(contents(lines)).toEqual(['Classify: one', 'Classify: {{id}}']);
    expect(kept).toEqual(['{"id":"a","text":"one"}', '{"id":"b","text":"{{id}}"}']);
    expect([...columns]).toEqual([
      ['id', 'text'],
      ['text', 'text'],
    ]);
  });

  it('makes one of each line of text or JSON, and of each element of an array', async () => {
    const options = { composition: { ...composition, rows } };
    expect(contents((await convert('one\n\ntwo\n', { ...options, format: 'text' })).lines)).toEqual([
      'Classify: one',
      '',
      'Classify: two',
    ]);
    for (const [format, text] of [
      ['jsonl', '{"text":"one","message":1}\n'],
      ['json', '["one"]'],
    ] as const)
      expect(contents((await convert(text, { ...options, format })).lines)).toEqual(['Classify: one']);
  });

  it('fills the system message too, and takes the custom_id and the image from their columns', async () => {
    const all = { prompt: prompt('{{text}}'), system: prompt('In {{id}}.'), idColumn: 'id', imageColumn: 'text' };
    const imageUrl = (value: string) => Promise.resolve(value === 'one' ? { url: 'data:x' } : { problem: 'no image' });
    const { lines, problems } = await convert(table, {
      format: 'csv',
      composition: { ...composition, rows: all },
      imageUrl,
    });
    expect(JSON.parse(lines[0] ?? '')).toEqual({
      custom_id: 'a',
      method: 'POST',
      url: '/v1/chat/completions',
      body: {
        model: 'simulator/echo',
        messages: [
          { role: 'system', content: 'In a.' },
          {
            role: 'user',
            content: [
              { type: 'text', text: 'one' },
              { type: 'image_url', image_url: { url: 'data:x' } },
            ],
          },
        ],
      },
    });
    expect(problems).toEqual([{ number: 2, line: 3, message: 'no image', count: 1 }]);
  });

  it.each([
    ['a column that no row has', { ...rows, prompt: prompt('{{txt}}') }, 'no column `txt`: the columns are id, text'],
    ['an id column that no row has', { ...rows, idColumn: 'key' }, 'no column `key`: the columns are id, text'],
  ])('refuses %s', async (_what, wrong, message) => {
    const { problems } = await convert(table, { format: 'csv', composition: { ...composition, rows: wrong } });
    expect(problems).toEqual([{ number: 1, line: 2, message, count: 2 }]);
  });

  it('refuses a request that becomes too long', async () => {
    const long = { ...rows, prompt: prompt(`${'x'.repeat(990)}{{text}}`) };
    expect((await convert(table, { format: 'csv', composition: { ...composition, rows: long } })).problems).toEqual([
      { number: 1, line: 2, message: 'longer than 1000 bytes', count: 2 },
    ]);
  });
});

describe('a part of the input', () => {
  const texts = Array.from({ length: 100 }, (_, index) => `prompt ${index + 1}`);
  const idsOf = (lines: readonly string[]) =>
    lines.filter((line) => line !== '').map((line) => (JSON.parse(line) as { custom_id: string }).custom_id);

  it('may be its first requests', async () => {
    const { lines, requests } = await convert(`one\n\n${texts.join('\n')}`, { choose: takeFirst(2) });
    expect([requests, idsOf(lines)]).toEqual([2, ['request-1', 'request-3']]);
  });

  it('may be a sample, the same for the same seed, in the order of the input', async () => {
    const sample = async (seed: number, size = 10) =>
      idsOf((await convert(texts.join('\n'), { choose: takeSample({ size, seed, total: 100 }) })).lines);
    const ids = await sample(1);
    expect(new Set(ids).size).toBe(10);
    expect(ids).toEqual(ids.toSorted((a, b) => Number(a.slice(8)) - Number(b.slice(8))));
    expect(await sample(1)).toEqual(ids);
    expect(await sample(2)).not.toEqual(ids);
    expect(await sample(1, 100)).toHaveLength(100);
    expect(await sample(1, 1000)).toHaveLength(100);
  });
});
