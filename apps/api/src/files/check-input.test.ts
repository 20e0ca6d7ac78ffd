import { expect, it } from 'vitest';
import { createInputCheck } from './check-input.ts';

const request = (customId: string): string =>
  JSON.stringify({ custom_id: customId, method: 'POST', url: '/v1/chat/completions', body: { model: 'a/b' } });

async function* inChunks(content: Buffer, chunkBytes: number): AsyncGenerator<Buffer> {
  for (let at = 0; at < content.length; at += chunkBytes) yield content.subarray(at, at + chunkBytes);
}

async function* brokenOff(): AsyncGenerator<Buffer> {
  yield Buffer.from(request('a'));
  throw new Error('the client has gone');
}

const check = async (content: string | Buffer, { chunkBytes = 7, maxLineBytes = 1000 } = {}) => {
  const bytes = Buffer.from(content);
  const input = createInputCheck(maxLineBytes);
  const passed = Buffer.concat(await Array.fromAsync(input.passThrough(inChunks(bytes, chunkBytes))));
  expect(passed.equals(bytes)).toBe(true);
  const summary = await input.finish(async () => inChunks(bytes, chunkBytes));
  return { ...summary, problems: summary.problems.map(({ code, line }) => `${line} ${code}`) };
};

it('passes a good input on as it is', async () => {
  const content = `${request('a')}\n\n \r\n${request('b')}\r\n${request('ü')}`;
  for (const chunkBytes of [1, 50, 10_000])
    expect(await check(content, { chunkBytes })).toEqual({
      requests: 3,
      problems: [],
      problemCount: 0,
      urls: { '/v1/chat/completions': { count: 3, lines: [1, 4, 5] } },
      models: { 'a/b': 1 },
    });
});

it('notes what is wrong, and goes on', async () => {
  const content = [request('a'), '{', `"${'x'.repeat(1000)}"`, request('a'), request('b'), request('a')].join('\n');
  expect(await check(content)).toMatchObject({
    requests: 6,
    problems: ['2 invalid_json_line', '3 line_too_large', '4 duplicate_custom_id', '6 duplicate_custom_id'],
  });
});

it('refuses bytes that are no UTF-8, which would reach the provider changed', async () => {
  const content = Buffer.from(`${request('a')}\n${request('?')}\n`);
  content[content.lastIndexOf('?')] = 0xff;
  expect(await check(content)).toMatchObject({ requests: 2, problems: ['2 invalid_json_line'] });
});

it('says that an input without requests is empty', async () => {
  expect(await check('')).toMatchObject({ requests: 0, problems: ['null empty_file'] });
  expect(await check('\n\n')).toMatchObject({ requests: 0, problems: ['null empty_file'] });
});

it('throws what its source throws', async () => {
  const passed = Array.fromAsync(createInputCheck(1000).passThrough(brokenOff()));
  await expect(passed).rejects.toThrow('the client has gone');
});
