import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type Conversion, convertInput, type ConvertOptions, formatOfName } from './convert-input.ts';

const defaults = { model: 'simulator/echo' };

async function* inChunks(bytes: Uint8Array, size: number): AsyncGenerator<Uint8Array> {
  for (let start = 0; start < bytes.length; start += size) yield bytes.subarray(start, start + size);
}

const convert = async (
  input: string | Uint8Array,
  options: Partial<ConvertOptions> = {},
  chunkBytes = 1000,
): Promise<Conversion & { lines: string[] }> => {
  const chunks = convertInput(inChunks(Buffer.from(input), chunkBytes), { defaults, maxLineBytes: 1000, ...options });
  let text = '';
  for (;;) {
    const next = await chunks.next();
    if (next.done) return { ...next.value, lines: text.split('\n').slice(0, -1) };
    text += next.value;
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

  it('tells from the first line that is not blank whether the input is JSON', async () => {
    const json = '\n{"prompt":"hi"}\n';
    expect((await convert(json)).lines[1]).toContain('"content":"hi"');
    expect((await convert(json, { format: 'text' })).lines[1]).toContain(String.raw`"content":"{\"prompt`);
    expect((await convert('[\n{"prompt":"hi"}\n]')).problems[0]?.message).toMatch(/JSON array/);
  });

  it('lists each problem once, with its first line and its number of lines', async () => {
    const input = `{"prompt":"fine"}\n${'{"promt":"x"}\n'.repeat(30)}`;
    const { problems, badLines, requests } = await convert(input);
    expect(problems).toEqual([
      { line: 2, message: expect.stringContaining('unknown key `promt`') as string, lines: 30 },
    ]);
    expect([badLines, requests]).toEqual([30, 1]);
  });

  it('refuses a line that is too long or not UTF-8', async () => {
    expect((await convert(`ok\n${'x'.repeat(1001)}\n`)).problems).toEqual([
      { line: 2, message: 'longer than 1000 bytes', lines: 1 },
    ]);
    expect((await convert(Buffer.from([0x68, 0xe9, 0x0a]))).problems).toEqual([
      { line: 1, message: 'not UTF-8 text', lines: 1 },
    ]);
  });

  it('makes one request from each line that is not blank, however the text is cut into chunks', async () => {
    const anyLine = fc.string({ unit: 'binary', maxLength: 60 }).filter((text) => !/[\r\n]/.test(text));
    await fc.assert(
      fc.asyncProperty(
        fc.array(anyLine, { maxLength: 20 }),
        fc.integer({ min: 1, max: 90 }),
        async (texts, chunkBytes) => {
          const { lines, requests, badLines } = await convert(
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
          expect(badLines).toBe(0);
        },
      ),
    );
  });
});

it.each([
  ['a.txt', 'text'],
  ['a.JSONL', 'jsonl'],
  ['a.ndjson', 'jsonl'],
  ['-', undefined],
])('%s is %s', (name, format) => {
  expect(formatOfName(name)).toBe(format);
});
