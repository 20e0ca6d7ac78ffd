import { crc32 } from 'node:zlib';
import { decodeSegmentEntry, type SegmentEntry, type SegmentLabel } from '@promptmill/core';
import { type FileStore, splitLines } from '@promptmill/files';
import { ResultsError } from './results-error.ts';

const decode = (name: string, text: string): SegmentEntry => {
  try {
    return decodeSegmentEntry(text);
  } catch (error) {
    throw tornSegment(name, error);
  }
};

const tornSegment = (name: string, cause?: unknown): ResultsError =>
  new ResultsError('torn_segment', `The segment ${name} is damaged. The batch goes on when it is restored.`, { cause });

/**
 * The entries of a segment.
 *
 * @throws ResultsError `torn_segment` at the end, or sooner, when its bytes are not those that were written: what was
 * read so far must not be published. FileStoreError.
 */
export async function* readSegment(
  files: FileStore,
  folder: string,
  { name, crc32: expected }: Pick<SegmentLabel, 'name' | 'crc32'>,
): AsyncGenerator<SegmentEntry> {
  let sum = 0;
  const source = await files.get(folder + name);
  async function* summed(): AsyncGenerator<Buffer> {
    for await (const chunk of source as AsyncIterable<Buffer>) {
      sum = crc32(chunk, sum);
      yield chunk;
    }
  }
  for await (const lines of splitLines(summed(), { maxLineBytes: Number.MAX_SAFE_INTEGER }))
    for (const line of lines) if (!line.oversize) yield decode(name, line.bytes.toString());
  if (sum !== expected) throw tornSegment(name);
}
