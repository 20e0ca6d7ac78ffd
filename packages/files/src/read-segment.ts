import { crc32 } from 'node:zlib';
import {
  decodeSegmentEntry,
  parseSegmentName,
  type SegmentEntry,
  segmentFolder,
  type SegmentLabel,
} from '@promptmill/core';
import type { FileStore } from './file-store.ts';

/** The disk has cut a segment's bytes short or changed them. */
export class TornSegmentError extends Error {
  override readonly name = 'TornSegmentError';
  readonly code = 'torn_segment';

  constructor(segment: string, options?: ErrorOptions) {
    super(`The segment ${segment} is damaged.`, options);
  }
}

/**
 * Lists the segments of a batch in the store, committed or not, in no particular order.
 *
 * @throws FileStoreError
 */
export const listSegments = async (files: FileStore, batchId: string): Promise<SegmentLabel[]> => {
  const folder = segmentFolder(batchId);
  const segments: SegmentLabel[] = [];
  for await (const { key } of files.list(folder)) {
    const segment = parseSegmentName(key.slice(folder.length));
    if (segment) segments.push(segment);
  }
  return segments;
};

const newline = 0x0a;

/** Whole lines, each with its newline, as many at a time as a chunk holds. A last line without a newline is left out. */
async function* wholeLines(source: AsyncIterable<Buffer>): AsyncGenerator<Buffer, void, undefined> {
  let begun: Buffer[] = [];
  for await (const chunk of source) {
    let start = 0;
    if (begun.length > 0) {
      start = chunk.indexOf(newline) + 1;
      begun.push(start === 0 ? chunk : chunk.subarray(0, start));
      if (start === 0) continue;
      yield Buffer.concat(begun);
      begun = [];
    }
    const end = chunk.lastIndexOf(newline) + 1;
    if (end > start) yield chunk.subarray(start, end);
    if (end < chunk.length) begun = [chunk.subarray(Math.max(start, end))];
  }
}

/**
 * Yields the entries of a segment, as many at a time as a chunk of the file holds; each is decoded when it is asked for.
 * Only its end may show that the segment is torn: until then, the caller must not do anything with the entries that cannot
 * be undone.
 *
 * @param folder the segment's folder, with its `/`
 * @throws TornSegmentError; FileStoreError
 */
export async function* readSegment(
  files: FileStore,
  folder: string,
  { name, crc32: expected }: Pick<SegmentLabel, 'name' | 'crc32'>,
): AsyncGenerator<Generator<SegmentEntry>, void, undefined> {
  let sum = 0;
  const source = await files.get(folder + name);
  async function* summed(): AsyncGenerator<Buffer> {
    for await (const chunk of source as AsyncIterable<Buffer>) {
      sum = crc32(chunk, sum);
      yield chunk;
    }
  }
  const decode = (line: Buffer): SegmentEntry => {
    try {
      return decodeSegmentEntry(line);
    } catch (error) {
      throw new TornSegmentError(name, { cause: error });
    }
  };
  function* entriesOf(lines: Buffer): Generator<SegmentEntry> {
    for (let start = 0; start < lines.length;) {
      const end = lines.indexOf(newline, start);
      yield decode(lines.subarray(start, end));
      start = end + 1;
    }
  }
  for await (const lines of wholeLines(summed())) yield entriesOf(lines);
  if (sum !== expected) throw new TornSegmentError(name);
}

/**
 * All entries of a batch's segment, once it is known to be whole.
 *
 * @throws TornSegmentError; FileStoreError
 */
export const readWholeSegment = async (
  files: FileStore,
  batchId: string,
  segment: Pick<SegmentLabel, 'name' | 'crc32'>,
): Promise<SegmentEntry[]> => {
  const all: SegmentEntry[] = [];
  for await (const entries of readSegment(files, segmentFolder(batchId), segment))
    for (const entry of entries) all.push(entry);
  return all;
};
