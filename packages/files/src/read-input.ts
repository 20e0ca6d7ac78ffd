import { type SplitLine, splitLines, type SplitLinesOptions } from './split-lines.ts';

/** A line of an input file that is not blank, and what `parse` made of its text; one that is too long is not parsed. */
export type InputLine<T> =
  | Extract<SplitLine, { oversize: true }>
  | (Extract<SplitLine, { oversize: false }> & { readonly parsed: T });

/**
 * Reads an input file line by line, without its blank lines; as {@link splitLines}, at most one array for each chunk and
 * never an empty one.
 *
 * @param parse of a line's text
 * @param options a line may be of any length unless `maxLineBytes` says otherwise
 */
export async function* readInput<T>(
  source: AsyncIterable<Uint8Array>,
  parse: (text: string) => T,
  options: Partial<SplitLinesOptions> = {},
): AsyncGenerator<InputLine<T>[], void, undefined> {
  for await (const lines of splitLines(source, { maxLineBytes: Number.MAX_SAFE_INTEGER, ...options })) {
    const found: InputLine<T>[] = [];
    for (const line of lines) {
      if (line.oversize) {
        found.push(line);
        continue;
      }
      const text = line.bytes.toString();
      if (text.trim() !== '') found.push({ ...line, parsed: parse(text) });
    }
    if (found.length > 0) yield found;
  }
}
