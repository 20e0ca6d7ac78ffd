import { crc32 } from 'node:zlib';
import {
  decodeSegmentEntry,
  parseSegmentName,
  type SegmentEntry,
  segmentFolder,
  type SegmentLabel,
} from '@promptmill/core';
import type { FileStore } from './file-store.ts';
import { splitLines } from './split-lines.ts';

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

/**
 * Yields the entries of a segment, as many at a time as a chunk of the file holds. Only its end may show that the segment
 * is torn: until then, the caller must not do anything with the entries that cannot be undone.
 *
 * @param folder the segment's folder, with its `/`
 * @throws TornSegmentError; FileStoreError
 */
export async function* readSegment(
  files: FileStore,
  folder: string,
  { name, crc32: expected }: Pick<SegmentLabel, 'name' | 'crc32'>,
): AsyncGenerator<SegmentEntry[], void, undefined> {
  let sum = 0;
  const source = await files.get(folder + name);
  async function* summed(): AsyncGenerator<Buffer> {
    for await (const chunk of source as AsyncIterable<Buffer>) {
      sum = crc32(chunk, sum);
      yield chunk;
    }
  }
  const decode = (entry: Buffer): SegmentEntry => {
    try {
      return decodeSegmentEntry(entry);
    } catch (error) {
      throw new TornSegmentError(name, { cause: error });
    }
  };
  for await (const lines of splitLines(summed(), { maxLineBytes: Number.MAX_SAFE_INTEGER }))
    yield lines.flatMap((line) => (line.oversize ? [] : [decode(line.bytes)]));
  if (sum !== expected) throw new TornSegmentError(name);
}
