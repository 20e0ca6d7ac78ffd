import { crc32 } from 'node:zlib';
import { decodeSegmentEntry, type SegmentEntry, type SegmentLabel } from '@promptmill/core';
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
 * Yields the entries of a segment. Only its end may show that the segment is torn: until then, the caller must not do
 * anything with the entries that cannot be undone.
 *
 * @param folder the segment's folder, with its `/`
 * @throws TornSegmentError; FileStoreError
 */
export async function* readSegment(
  files: FileStore,
  folder: string,
  { name, crc32: expected }: Pick<SegmentLabel, 'name' | 'crc32'>,
): AsyncGenerator<SegmentEntry, void, undefined> {
  let sum = 0;
  const source = await files.get(folder + name);
  async function* summed(): AsyncGenerator<Buffer> {
    for await (const chunk of source as AsyncIterable<Buffer>) {
      sum = crc32(chunk, sum);
      yield chunk;
    }
  }
  const decode = (text: string): SegmentEntry => {
    try {
      return decodeSegmentEntry(text);
    } catch (error) {
      throw new TornSegmentError(name, { cause: error });
    }
  };
  for await (const lines of splitLines(summed(), { maxLineBytes: Number.MAX_SAFE_INTEGER }))
    for (const line of lines) if (!line.oversize) yield decode(line.bytes.toString());
  if (sum !== expected) throw new TornSegmentError(name);
}
