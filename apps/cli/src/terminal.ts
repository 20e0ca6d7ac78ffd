import { Writable } from 'node:stream';

/** Standard error, which may be a terminal. What it writes cannot control the terminal. */
export interface Screen {
  write(text: string): unknown;
  /** Writes over the line that the cursor is on. For a terminal only. */
  redraw(text: string): unknown;
  readonly isTTY?: boolean | undefined;
  readonly columns?: number | undefined;
}

/** All control characters but `\n` and `\t`, and what reverses or breaks the order of a text. */
const controls = /(?![\n\t])[\p{Cc}\u061C\u200E\u200F\u2028\u2029\u202A-\u202E\u2066-\u2069]/gu;

const clearLine = '\r\u001B[2K';

/**
 * A text as it may be printed on a terminal: providers, servers and inputs choose messages, names and ids. Control
 * characters are written as JSON writes them, `\u001b`, so that JSON stays the same JSON.
 */
export const printable = (text: string): string =>
  text.replaceAll(controls, (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`);

/** {@link printable}, with line breaks and tabs as spaces. */
export const printableLine = (text: string): string => printable(text.replaceAll(/[\r\n\t]+/g, ' '));

type Terminal = Pick<NodeJS.WriteStream, 'isTTY' | 'columns'> & { write(text: string): unknown };

/** Makes a {@link Screen} of a stream. */
export const createScreen = (stream: Partial<Terminal> & Pick<Terminal, 'write'>): Screen => ({
  write: (text) => stream.write(printable(text)),
  redraw: (text) => stream.write(clearLine + printableLine(text)),
  get isTTY() {
    return stream.isTTY;
  },
  get columns() {
    return stream.columns;
  },
});

/** Standard output: unchanged where it is a file or a pipe, {@link printable} on a terminal. */
export const createOutput = (stream: NodeJS.WriteStream): Writable =>
  stream.isTTY
    ? new Writable({
        decodeStrings: false,
        write: (text, _encoding, done) => void stream.write(printable(String(text)), done),
      })
    : stream;
