import { isUtf8 } from 'node:buffer';
import { type InputRecord, notUtf8, tooLong } from './input-record.ts';

export interface ReadJsonArrayOptions {
  /** A longer element is a problem. It is never held in memory whole. */
  readonly maxElementBytes: number;
}

const [quote, backslash, comma, openBracket, closeBracket, openBrace, closeBrace] = Buffer.from('"\\,[]{}');
const isBlank = (byte: number): boolean => byte === 0x20 || byte === 0x0a || byte === 0x0d || byte === 0x09;

/**
 * Reads the elements of a JSON array, each as its text, without parsing them. It yields at most one block for each
 * chunk, in flat memory. Where the array is not whole, a problem is the last record.
 */
export async function* readJsonArray(
  source: AsyncIterable<Uint8Array>,
  { maxElementBytes }: ReadJsonArrayOptions,
): AsyncGenerator<InputRecord[], void, undefined> {
  let place = 'before' as 'before' | 'inside' | 'after';
  let depth = 0;
  let inString = false;
  let isEscaped = false;
  let number = 1;
  let held = Buffer.alloc(0);
  let isTooLong = false;

  const hold = (bytes: Uint8Array): void => {
    isTooLong ||= held.length + bytes.length > maxElementBytes;
    held = isTooLong ? Buffer.alloc(0) : Buffer.concat([held, bytes]);
  };
  const endElement = (): InputRecord => {
    const record = (): InputRecord => {
      if (isTooLong) return { number, kind: 'problem', message: tooLong(maxElementBytes) };
      return isUtf8(held)
        ? { number, kind: 'text', text: held.toString().trim() }
        : { number, kind: 'problem', message: notUtf8 };
    };
    const ended = record();
    number++;
    held = Buffer.alloc(0);
    isTooLong = false;
    return ended;
  };

  let offset = 0;
  for await (const chunk of source) {
    const records: InputRecord[] = [];
    let start = 0;
    for (let at = 0; at < chunk.length; at++) {
      const byte = chunk[at] ?? 0;
      if (isEscaped) isEscaped = false;
      else if (inString) {
        if (byte === backslash) isEscaped = true;
        else if (byte === quote) inString = false;
      } else if (place !== 'inside') {
        // A byte order mark may come first.
        if (isBlank(byte) || (place === 'before' && offset + at < 3 && byte >= 0xbb)) continue;
        if (place === 'after' || byte !== openBracket) {
          const what = place === 'after' ? 'more follows the end of the array' : 'not a JSON array';
          yield [...records, { number, kind: 'problem', message: what }];
          return;
        }
        place = 'inside';
        start = at + 1;
      } else if (byte === quote) inString = true;
      else if (byte === openBracket || byte === openBrace) depth++;
      else if (depth > 0) {
        if (byte === closeBracket || byte === closeBrace) depth--;
      } else if (byte === comma || byte === closeBracket) {
        hold(chunk.subarray(start, at));
        const isEmpty = !isTooLong && held.every(isBlank);
        // Only an array without elements has none before its end.
        if (isEmpty && (byte === comma || number > 1))
          records.push({ number, kind: 'problem', message: 'an element is missing' });
        if (isEmpty) held = Buffer.alloc(0);
        else records.push(endElement());
        start = at + 1;
        if (byte === closeBracket) place = 'after';
      }
    }
    if (place === 'inside') hold(chunk.subarray(start));
    offset += chunk.length;
    if (records.length > 0) yield records;
  }
  if (offset > 0 && place !== 'after') yield [{ number, kind: 'problem', message: 'the JSON array does not end' }];
}
