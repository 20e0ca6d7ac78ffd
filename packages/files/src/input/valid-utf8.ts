import { isUtf8 } from 'node:buffer';

const newline = 0x0a;

/** How many bytes of a chunk are whole characters: its last up to three bytes may begin one that ends in the next chunk. */
const wholeLength = (bytes: Buffer): number => {
  for (let back = 1; back <= Math.min(3, bytes.length); back++) {
    const byte = bytes[bytes.length - back] ?? 0;
    if (byte < 0x80) break;
    if (byte < 0xc0) continue;
    const needed = byte >= 0xf0 ? 4 : byte >= 0xe0 ? 3 : 2;
    return needed > back ? bytes.length - back : bytes.length;
  }
  return bytes.length;
};

/** Where the first line begins that is no UTF-8 text. */
const badLineStart = (bytes: Buffer): number => {
  let start = 0;
  for (let end = bytes.indexOf(newline); end !== -1; end = bytes.indexOf(newline, start)) {
    if (!isUtf8(bytes.subarray(start, end))) return start;
    start = end + 1;
  }
  return start;
};

/**
 * Yields the same bytes up to the end, or up to the first line that is no UTF-8 text.
 *
 * @returns whether all bytes are UTF-8 text.
 */
export async function* validUtf8(source: AsyncIterable<Uint8Array>): AsyncGenerator<Buffer, boolean, undefined> {
  let rest = Buffer.alloc(0);
  for await (const chunk of source) {
    const bytes = Buffer.concat([rest, chunk]);
    const whole = bytes.subarray(0, wholeLength(bytes));
    if (!isUtf8(whole)) {
      yield whole.subarray(0, badLineStart(whole));
      return false;
    }
    rest = bytes.subarray(whole.length);
    yield whole;
  }
  return rest.length === 0;
}
