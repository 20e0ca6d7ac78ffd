import type { ByteRange } from './file-store.ts';
import { readInput } from './read-input.ts';

/** Of an input file up to this size all lines are taken; of a larger one, those at some places spread over it. */
const wholeBytes = 1024 * 1024;
const places = 32;

export interface SampleInputOptions<T> {
  /** Opens a part of the file. */
  readonly read: (range: Required<ByteRange>) => AsyncIterable<Uint8Array> | Promise<AsyncIterable<Uint8Array>>;
  /** The size of the file. */
  readonly bytes: number;
  /** A longer line is left out. */
  readonly maxLineBytes: number;
  /** Makes of a line's text what is taken; undefined leaves the line out. */
  readonly parse: (text: string) => T | undefined;
}

/**
 * Takes lines of an input file: all of them when it is small, else some that stand for the others. Blank lines are
 * skipped, so a file of few lines among many blank ones is taken whole.
 */
export async function* sampleInput<T>({
  read,
  bytes,
  maxLineBytes,
  parse,
}: SampleInputOptions<T>): AsyncGenerator<T[]> {
  const count = bytes <= wholeBytes ? 1 : places;
  const startOf = (place: number): number => Math.floor((place * bytes) / count);
  for (let place = 0; place < count; place++) {
    const start = startOf(place);
    const end = startOf(place + 1);
    let left = wholeBytes / count;
    // The last line that begins before the end is read as a whole.
    const source = await read({ start, end: end + maxLineBytes });
    for await (const lines of readInput(source, parse, { maxLineBytes, startOffset: start })) {
      const taken: T[] = [];
      for (const { offset, nextOffset, ...line } of lines) {
        if (offset >= end || left <= 0) break;
        // A place begins in the middle of a line, as a rule, which `parse` leaves out.
        if (line.oversize || line.parsed === undefined) continue;
        taken.push(line.parsed);
        left -= nextOffset - offset;
      }
      yield taken;
      if (left <= 0 || (lines.at(-1)?.offset ?? 0) >= end) break;
    }
  }
}
