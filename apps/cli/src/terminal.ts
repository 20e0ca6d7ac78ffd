import { Writable } from 'node:stream';

/** Standard error, which may be a terminal. What it writes cannot control the terminal. */
export interface Screen {
  /** Writes a text below what stands there. A line that {@link redraw} has drawn makes room for it. */
  write(text: string): unknown;
  /** Writes one line over the one that it wrote before; an empty one removes it. For a terminal that can redraw only. */
  redraw(text: string): unknown;
  /** Whether a person may be looking. */
  readonly isTTY?: boolean | undefined;
  /** Whether it is a terminal whose lines can be written over: a dumb one cannot. */
  readonly canRedraw: boolean;
  readonly columns?: number | undefined;
  /** Calls back whenever the terminal's size has changed, until the returned function is called. */
  onResize(listener: () => void): () => void;
}

/** All control characters but `\n` and `\t`, and what reverses or breaks the order of a text. */
const controls = /(?![\n\t])[\p{Cc}\u061C\u200E\u200F\u2028\u2029\u202A-\u202E\u2066-\u2069]/gu;

const clearLine = '\r\u001B[2K';
/** Moves up by some lines, and removes all from there on. */
const clearFrom = (linesUp: number): string => `\r\u001B[${linesUp}A\u001B[J`;

/**
 * A text as it may be printed on a terminal: providers, servers and inputs choose messages, names and ids. Control
 * characters are written as JSON writes them, `\u001b`, so that JSON stays the same JSON.
 */
export const printable = (text: string): string =>
  text.replaceAll(controls, (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`);

/** {@link printable}, with line breaks and tabs as spaces. */
export const printableLine = (text: string): string => printable(text.replaceAll(/[\r\n\t]+/g, ' '));

type Terminal = Pick<NodeJS.WriteStream, 'isTTY' | 'columns'> & {
  write(text: string): unknown;
  on(event: 'resize', listener: () => void): unknown;
  off(event: 'resize', listener: () => void): unknown;
};

/**
 * Makes a {@link Screen} of a stream.
 *
 * @param terminalName what TERM says. Source: https://man7.org/linux/man-pages/man7/term.7.html
 */
export const createScreen = (stream: Partial<Terminal> & Pick<Terminal, 'write'>, terminalName?: string): Screen => {
  let drawn = '';

  /** What removes the drawn line. A terminal that became narrower since shows it on several lines. */
  const removeDrawn = (): string => {
    if (drawn === '') return '';
    const lines = stream.columns ? Math.ceil(drawn.length / stream.columns) : 1;
    drawn = '';
    return lines > 1 ? clearFrom(lines - 1) : clearLine;
  };

  return {
    write: (text) => stream.write(removeDrawn() + printable(text)),
    redraw(text) {
      const before = removeDrawn();
      drawn = printableLine(text);
      if (before + drawn !== '') stream.write(before + drawn);
    },
    get isTTY() {
      return stream.isTTY;
    },
    canRedraw: stream.isTTY === true && terminalName !== 'dumb',
    get columns() {
      return stream.columns;
    },
    onResize(listener) {
      stream.on?.('resize', listener);
      return () => void stream.off?.('resize', listener);
    },
  };
};

/** Standard output: unchanged where it is a file or a pipe, {@link printable} on a terminal. */
export const createOutput = (stream: NodeJS.WriteStream): Writable =>
  stream.isTTY
    ? new Writable({
        decodeStrings: false,
        write: (text, _encoding, done) => void stream.write(printable(String(text)), done),
      })
    : stream;
