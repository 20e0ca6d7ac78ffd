import { randomBytes } from 'node:crypto';
import { crc32 } from 'node:zlib';
import { segmentFolder, segmentName } from '@promptmill/core';
import type { FileStore } from './file-store.ts';

/**
 * Publishes results as one immutable segment, sorted by index, and returns its name.
 *
 * @param entries in any order, each with its newline
 * @throws FileStoreError
 */
export const writeSegment = async (
  files: FileStore,
  batchId: string,
  entries: readonly { readonly index: number; readonly entry: Buffer }[],
): Promise<string> => {
  const sorted = entries.toSorted((a, b) => a.index - b.index);
  const span = { first: sorted[0]?.index ?? 0, last: sorted.at(-1)?.index ?? 0 };
  const content = Buffer.concat(sorted.map(({ entry }) => entry));
  const name = segmentName(span, crc32(content), randomBytes(6).toString('hex'));
  await files.put(`${segmentFolder(batchId)}${name}`, content);
  return name;
};
