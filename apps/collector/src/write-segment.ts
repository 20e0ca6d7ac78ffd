import { randomBytes } from 'node:crypto';
import { encodeSegmentEntry, segmentFolder, segmentName } from '@promptmill/core';
import type { FileStore } from '@promptmill/files';
import type { Segment } from './segment-buffer.ts';

/** Publishes results as one immutable segment, sorted by index, and returns its name. */
export const writeSegment = async (files: FileStore, { batchId, results }: Segment): Promise<string> => {
  const sorted = [...results].sort((a, b) => a.index - b.index);
  const first = sorted[0]?.index ?? 0;
  const last = sorted.at(-1)?.index ?? 0;
  const name = segmentName(first, last, randomBytes(6).toString('hex'));
  await files.put(`${segmentFolder(batchId)}${name}`, sorted.map(encodeSegmentEntry).join(''));
  return name;
};
