/** One result in a segment: `<index>\t<completed|failed>\t<result line>`. The result line is never parsed again. */
export interface SegmentEntry {
  readonly index: number;
  readonly status: 'completed' | 'failed';
  readonly line: string;
}

/** The folder of a batch's segments in the file store. */
export const segmentFolder = (batchId: string): string => `segments/${batchId}/`;

/**
 * A segment's name says which indexes it spans, so that merging opens it no sooner than it must.
 *
 * @param unique tells apart segments of the same span, such as those two collectors wrote of the same results
 */
export const segmentName = (first: number, last: number, unique: string): string => `${first}-${last}-${unique}`;

export interface SegmentSpan {
  readonly name: string;
  readonly first: number;
  readonly last: number;
}

/** undefined when this is no segment's name. */
export const parseSegmentName = (name: string): SegmentSpan | undefined => {
  const match = /^(\d+)-(\d+)-[0-9a-z]+$/.exec(name);
  return match ? { name, first: Number(match[1]), last: Number(match[2]) } : undefined;
};

export const encodeSegmentEntry = ({ index, status, line }: SegmentEntry): string => `${index}\t${status}\t${line}\n`;

/** Throws when the text is no segment entry: a segment is written whole or not at all. */
export const decodeSegmentEntry = (text: string): SegmentEntry => {
  const head = /^(\d+)\t(completed|failed)\t/.exec(text);
  if (!head) throw new Error('torn segment entry');
  return { index: Number(head[1]), status: head[2] as SegmentEntry['status'], line: text.slice(head[0].length) };
};
