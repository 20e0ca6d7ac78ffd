/** One result in a segment: `<index>\t<completed|failed>\t<bytes>\t<result line>`. */
export interface SegmentEntry {
  readonly index: number;
  readonly status: 'completed' | 'failed';
  /** Bytes of the request's input line. */
  readonly bytes: number;
  readonly line: string;
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

export const encodeSegmentEntry = ({ index, status, bytes, line }: SegmentEntry): string =>
  `${index}\t${status}\t${bytes}\t${line}\n`;

/** Throws when the text is no segment entry: a segment is written whole or not at all. */
export const decodeSegmentEntry = (text: string): SegmentEntry => {
  const head = /^(\d+)\t(completed|failed)\t(\d+)\t/.exec(text);
  if (!head) throw new Error('torn segment entry');
  return {
    index: Number(head[1]),
    status: head[2] as SegmentEntry['status'],
    bytes: Number(head[3]),
    line: text.slice(head[0].length),
  };
};
