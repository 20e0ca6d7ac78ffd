import type { RequestStatus } from './result-line.ts';

/**
 * The start of a segment's entry, which is `<index>\t<completed|failed>\t<bytes>\t<cost>\t<result line>\n`. An unknown
 * cost is written as `-`.
 */
export interface SegmentEntryHead {
  readonly index: number;
  readonly status: RequestStatus;
  /** Bytes of the request's input line. */
  readonly bytes: number;
  /** What its answer cost, in billionths of a dollar; undefined when that is unknown. */
  readonly nanoUsd?: number | undefined;
}

/** One result in a segment. */
export interface SegmentEntry extends SegmentEntryHead {
  /** The result line without its newline. It is a view of the bytes it was read from, and keeps them in memory. */
  readonly line: Buffer;
}

/** The folder of a batch's segments in the file store. */
export const segmentFolder = (batchId: string): string => `segments/${batchId}/`;

/** The first and the last index of a segment's results. */
export interface SegmentSpan {
  readonly first: number;
  readonly last: number;
}

/** What a segment's name says. */
export interface SegmentLabel extends SegmentSpan {
  readonly name: string;
  /** CRC-32 of the segment's bytes. */
  readonly crc32: number;
}

/** The folder of a batch's temporary files while it is finalized. */
export const scratchFolder = (batchId: string): string => `scratch/${batchId}/`;

/**
 * A segment's name holds the span of its indexes and the CRC-32 of its bytes. The span lets a merge open the segment
 * only when its first index is reached. The checksum shows whether the disk has cut the segment short or changed it.
 *
 * @param unique tells segments of the same results apart, such as those of two collectors
 */
export const segmentName = ({ first, last }: SegmentSpan, crc32: number, unique: string): string =>
  `${first}-${last}-${crc32.toString(16).padStart(8, '0')}-${unique}`;

/** Reads a segment's name; undefined when it is none. */
export const parseSegmentName = (name: string): SegmentLabel | undefined => {
  const match = /^(\d+)-(\d+)-([0-9a-f]{8})-[0-9a-z]+$/.exec(name);
  if (!match) return undefined;
  const [, first, last, crc32 = ''] = match;
  return { name, first: Number(first), last: Number(last), crc32: Number.parseInt(crc32, 16) };
};

/** The bytes before an entry's line. */
export const segmentEntryHead = ({ index, status, bytes, nanoUsd }: SegmentEntryHead): string =>
  `${index}\t${status}\t${bytes}\t${nanoUsd ?? '-'}\t`;

/** An entry with its newline. `line` is JSON on one line. */
export const encodeSegmentEntry = (entry: SegmentEntryHead & { readonly line: string }): string =>
  `${segmentEntryHead(entry)}${entry.line}\n`;

/** Index, bytes and cost have 16 digits at most, the status has 9 characters, and each has a tab after it. */
const maxHeadBytes = 64;

/**
 * Decodes an entry, given without its newline.
 *
 * @throws when the bytes are no segment entry
 */
export const decodeSegmentEntry = (entry: Buffer): SegmentEntry => {
  const head = /^(\d+)\t(completed|failed)\t(\d+)\t(?:(\d+|-)\t)?/.exec(entry.toString('latin1', 0, maxHeadBytes));
  if (!head) throw new Error('torn segment entry');
  return {
    index: Number(head[1]),
    status: head[2] as RequestStatus,
    bytes: Number(head[3]),
    // Entries had no cost once.
    nanoUsd: head[4] === undefined || head[4] === '-' ? undefined : Number(head[4]),
    line: entry.subarray(head[0].length),
  };
};

const newline = 0x0a;

/** Splits bytes that hold whole entries. Each keeps its newline and is a view of `entries`. */
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
