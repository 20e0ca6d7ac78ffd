import type { RequestStatus } from './result-line.ts';

/** What stands before the result line in a segment's entry, `<index>\t<completed|failed>\t<bytes>\t<result line>\n`. */
export interface SegmentEntryHead {
  readonly index: number;
  readonly status: RequestStatus;
  /** Bytes of the request's input line. */
  readonly bytes: number;
}

/** One result in a segment. */
export interface SegmentEntry extends SegmentEntryHead {
  /** The result line without its newline: a view of the bytes it was read from, which it keeps alive. */
  readonly line: Buffer;
}

/** The folder of a batch's segments in the file store. */
export const segmentFolder = (batchId: string): string => `segments/${batchId}/`;

export interface SegmentSpan {
  readonly first: number;
  readonly last: number;
}

export interface SegmentLabel extends SegmentSpan {
  readonly name: string;
  /** CRC-32 of its bytes. */
  readonly crc32: number;
}

/** The folder of what finalizing a batch needs on its way. */
export const scratchFolder = (batchId: string): string => `scratch/${batchId}/`;

/**
 * A segment's name says which indexes it spans, so that merging opens it no sooner than it must, and the CRC-32 of its
 * bytes, so that one the disk has cut short or changed is known.
 *
 * @param unique tells apart segments of the same results, such as those two collectors wrote
 */
export const segmentName = ({ first, last }: SegmentSpan, crc32: number, unique: string): string =>
  `${first}-${last}-${crc32.toString(16).padStart(8, '0')}-${unique}`;

/** undefined when this is no segment's name. */
export const parseSegmentName = (name: string): SegmentLabel | undefined => {
  const match = /^(\d+)-(\d+)-([0-9a-f]{8})-[0-9a-z]+$/.exec(name);
  if (!match) return undefined;
  const [, first, last, crc32 = ''] = match;
  return { name, first: Number(first), last: Number(last), crc32: Number.parseInt(crc32, 16) };
};

/** The bytes before an entry's line. */
export const segmentEntryHead = ({ index, status, bytes }: SegmentEntryHead): string =>
  `${index}\t${status}\t${bytes}\t`;

/** An entry with its newline. `line` is JSON on one line. */
export const encodeSegmentEntry = (entry: SegmentEntryHead & { readonly line: string }): string =>
  `${segmentEntryHead(entry)}${entry.line}\n`;

/** Three numbers or words and a tab each: 16 + 9 + 16 + 3 characters at most. */
const maxHeadBytes = 48;

/**
 * An entry without its newline.
 *
 * @throws when the bytes are no segment entry: a segment is written whole or not at all
 */
export const decodeSegmentEntry = (entry: Buffer): SegmentEntry => {
  const head = /^(\d+)\t(completed|failed)\t(\d+)\t/.exec(entry.toString('latin1', 0, maxHeadBytes));
  if (!head) throw new Error('torn segment entry');
  return {
    index: Number(head[1]),
    status: head[2] as RequestStatus,
    bytes: Number(head[3]),
    line: entry.subarray(head[0].length),
  };
};

const newline = 0x0a;

/** Takes entries apart that stand one after another. Each keeps its newline, and is a view of `entries`. */
export const splitSegmentEntries = (entries: Buffer): { readonly index: number; readonly entry: Buffer }[] => {
  const split: { index: number; entry: Buffer }[] = [];
  for (let start = 0; start < entries.length;) {
    const end = entries.indexOf(newline, start) + 1 || entries.length;
    const index = Number.parseInt(entries.toString('latin1', start, Math.min(end, start + maxHeadBytes)), 10);
    split.push({ index, entry: entries.subarray(start, end) });
    start = end;
  }
  return split;
};
