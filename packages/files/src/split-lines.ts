/** One line, without its ending (`\n` or `\r\n`). Offsets count bytes from the start of the file. */
export type SplitLine = {
  /** 1-based. */
  number: number;
  offset: number;
  /** Where the next line starts. Reading can resume there, with this `startOffset` and the next `startNumber`. */
  nextOffset: number;
} & (
  | {
      oversize: false;
      /** A view of the line's chunk, which it keeps alive, or a copy when the line spans chunks. */
      bytes: Buffer;
    }
  | { oversize: true; byteLength: number }
);

export interface SplitLinesOptions {
  /** A line that is longer without its ending is `oversize`: it is reported, and never held in memory. */
  maxLineBytes: number;
  /** The offset in the file at which the source starts. Default: 0. */
  startOffset?: number;
  /** The number of the first line in the source. Default: 1. */
  startNumber?: number;
}

const newline = 0x0a;
const carriageReturn = 0x0d;
const byteOrderMark = Buffer.from([0xef, 0xbb, 0xbf]);

/**
 * Splits bytes into lines. It yields at most one array for each chunk, and no empty array. An empty line is a line, but
 * the newline at a file's end begins no further line. A UTF-8 byte order mark at offset 0 is skipped.
 */
export async function* splitLines(
  source: AsyncIterable<Uint8Array>,
  { maxLineBytes, startOffset = 0, startNumber = 1 }: SplitLinesOptions,
): AsyncGenerator<SplitLine[], void, undefined> {
  const carry = createCarry(maxLineBytes);
  let number = startNumber;
  let lineOffset = startOffset;

  /** Ends the line that `tail` holds. `endingBytes` is how many bytes of the ending are not in `tail`. */
  const endLine = (tail: Buffer, endingBytes: 0 | 1): SplitLine => {
    const rawLength = carry.length + tail.length;
    const last = tail.length > 0 ? tail[tail.length - 1] : carry.lastByte;
    const byteLength = endingBytes === 1 && rawLength > 0 && last === carriageReturn ? rawLength - 1 : rawLength;
    const offset = lineOffset;
    const nextOffset = offset + rawLength + endingBytes;
    lineOffset = nextOffset;
    const line: SplitLine =
      byteLength > maxLineBytes
        ? { number, offset, nextOffset, oversize: true, byteLength }
        : {
            number,
            offset,
            nextOffset,
            oversize: false,
            bytes: carry.join(tail).subarray(0, byteLength),
          };
    number += 1;
    carry.clear();
    return line;
  };

  let head: Buffer | undefined = startOffset === 0 ? Buffer.alloc(0) : undefined;
  for await (const part of source) {
    let chunk: Buffer = asBuffer(part);
    if (head) {
      // These bytes wait until it is clear whether the file starts with a byte order mark.
      chunk = Buffer.concat([head, chunk]);
      const seen = Math.min(chunk.length, byteOrderMark.length);
      const matches = chunk.subarray(0, seen).equals(byteOrderMark.subarray(0, seen));
      if (matches && seen < byteOrderMark.length) {
        head = chunk;
        continue;
      }
      head = undefined;
      if (matches) {
        chunk = chunk.subarray(seen);
        lineOffset = seen;
      }
    }

    const lines: SplitLine[] = [];
    let start = 0;
    for (let end = chunk.indexOf(newline); end !== -1; end = chunk.indexOf(newline, start)) {
      lines.push(endLine(chunk.subarray(start, end), 1));
      start = end + 1;
    }
    if (start < chunk.length) carry.add(chunk.subarray(start));
    if (lines.length > 0) yield lines;
  }

  if (head) carry.add(head);
  if (carry.length > 0) yield [endLine(Buffer.alloc(0), 0)];
}

/** The start of a line whose end has not come yet: its length, its last byte, and its bytes unless it is oversize. */
function createCarry(maxLineBytes: number) {
  // One byte more than a line may have, since the last byte may be the "\r" of the ending.
  const maxHeld = maxLineBytes + 1;
  let held: Buffer = Buffer.alloc(0);
  let length = 0;
  let lastByte: number | undefined;
  return {
    get length() {
      return length;
    },
    get lastByte() {
      return lastByte;
    },
    add(bytes: Buffer) {
      const newLength = length + bytes.length;
      if (newLength <= maxHeld) {
        if (newLength > held.length) {
          const grown = Buffer.allocUnsafeSlow(Math.min(maxHeld, newLength * 2));
          held.copy(grown, 0, 0, length);
          held = grown;
        }
        bytes.copy(held, length);
      }
      length = newLength;
      lastByte = bytes[bytes.length - 1];
    },
    /** All bytes of the line, at most `maxLineBytes + 1`. */
    join(tail: Buffer): Buffer {
      return length === 0 ? tail : Buffer.concat([held.subarray(0, length), tail]);
    },
    clear() {
      length = 0;
      lastByte = undefined;
    },
  };
}

function asBuffer(bytes: Uint8Array): Buffer {
  return Buffer.isBuffer(bytes) ? bytes : Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}
