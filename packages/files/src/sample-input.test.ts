import { describe, expect, it } from 'vitest';
import { sampleInput } from './sample-input.ts';

const sample = async (text: string, maxLineBytes = 1000): Promise<{ taken: string[]; readBytes: number }> => {
  const file = Buffer.from(text);
  let readBytes = 0;
  async function* read({ start, end }: { start: number; end: number }): AsyncGenerator<Buffer> {
    for (let at = start; at < Math.min(end, file.length); at += 4096) {
      const chunk = file.subarray(at, Math.min(at + 4096, end));
      readBytes += chunk.length;
      yield chunk;
    }
  }
  const parse = (line: string): string | undefined => (/^<.*>$/.test(line) ? line : undefined);
  const taken: string[] = [];
  for await (const lines of sampleInput({ read, bytes: file.length, maxLineBytes, parse })) taken.push(...lines);
  return { taken, readBytes };
};

const lines = (count: number, fill = 0): string[] =>
  Array.from({ length: count }, (_, i) => `<${i}${'.'.repeat(fill)}>`);
const numbers = (taken: readonly string[]): number[] => taken.map((line) => Number.parseInt(line.slice(1), 10));

describe('a sample of an input', () => {
  it('has all lines of a small file, but no blank one and none that is too long', async () => {
    const { taken } = await sample(`<a>\n\n<${'b'.repeat(1000)}>\n<c>`);
    expect(taken).toEqual(['<a>', '<c>']);
  });

  it('has lines from all over a large file, each once and whole, and about 1 MiB of it is read', async () => {
    const all = lines(100_000, 90);
    const { taken, readBytes } = await sample(all.join('\n'));
    const found = numbers(taken);
    expect(taken.every((line) => line.length > 90)).toBe(true);
    expect(found).toEqual([...new Set(found)].sort((a, b) => a - b));
    expect(found.length).toBeGreaterThan(9_000);
    for (let part = 0; part < 10; part++) expect(found.some((n) => Math.floor(n / 10_000) === part)).toBe(true);
    expect(readBytes).toBeLessThan(1.3 * 1024 * 1024);
  });

  it('has lines of a place even when one is longer than its share', async () => {
    const all = lines(100, 200_000);
    expect((await sample(all.join('\n'), 1_000_000)).taken.length).toBeGreaterThanOrEqual(32);
  });

  it('has the few lines among many blank ones', async () => {
    const all = Array.from({ length: 1_200_000 }, (_, i) => (i % 120_000 === 1234 ? `<${i}>` : ''));
    expect((await sample(all.join('\n'))).taken).toHaveLength(10);
  });
});
