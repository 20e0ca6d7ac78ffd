import { randomBytes } from 'node:crypto';
import { crc32 } from 'node:zlib';
import { segmentFolder, segmentName, splitSegmentEntries } from '@promptmill/core';
import type { FileStore } from '@promptmill/files';
import type { Segment } from './segment-buffer.ts';

/** Publishes results as one immutable segment, sorted by index, and returns its name. */
export const writeSegment = async (files: FileStore, { batchId, results }: Segment): Promise<string> => {
  const sorted = results.flatMap(({ entries }) => splitSegmentEntries(entries)).sort((a, b) => a.index - b.index);
  const span = { first: sorted[0]?.index ?? 0, last: sorted.at(-1)?.index ?? 0 };
  const content = Buffer.concat(sorted.map(({ entry }) => entry));
  const name = segmentName(span, crc32(content), randomBytes(6).toString('hex'));
  await files.put(`${segmentFolder(batchId)}${name}`, content);
  return name;
};
