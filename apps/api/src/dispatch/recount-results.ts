import {
  addUsage,
  isTerminal,
  noUsage,
  parseSegmentName,
  type SegmentEntry,
  type SegmentLabel,
} from '@promptmill/core';
import { type FileStore, readWholeSegment } from '@promptmill/files';
import type { BatchStore } from '@promptmill/queue';
import type { Logger } from '@promptmill/runtime';
import { storedSegments, usageOfLine } from './restore-results.ts';

export interface RecountResultsOptions {
  readonly batches: Pick<BatchStore, 'isAdrift' | 'get' | 'dispatchState' | 'segments' | 'recount'>;
  readonly files: FileStore;
  readonly logger: Logger;
}

/** Counts the results of a batch of `total` requests, each request once. */
const createCount = (total: number) => {
  const settled = Buffer.alloc(Math.ceil(total / 8));
  let [completed, failed, settledBytes, usage] = [0, 0, 0, noUsage];
  return {
    settled,
    add: (entry: SegmentEntry): void => {
      const [byte, bit] = [entry.index >> 3, 0x80 >> (entry.index & 7)];
      if (((settled[byte] ?? 0) & bit) !== 0) return;
      settled[byte] = (settled[byte] ?? 0) | bit;
      if (entry.status === 'completed') completed++;
      else failed++;
      settledBytes += entry.bytes;
      usage = addUsage(usage, usageOfLine(entry));
    },
    counts: () => ({ completed, failed, settledBytes, usage }),
  };
};

/**
 * Puts a batch's books right where they are not of the results it has. A Redis whose append-only file was cut off within a
 * script's effects forgets them at first; from its next start on it has the first of them, as if they had come before all
 * that was written since. So a request may be counted twice, or pass for settled without a result. What is in the segments
 * is the truth. Says whether it was needed.
 */
export const createRecountResults = ({ batches, files, logger }: RecountResultsOptions) => {
  const knownSegment = (name: string): SegmentLabel => {
    const segment = parseSegmentName(name);
    if (!segment) throw new Error(`${name} is no segment`);
    return segment;
  };

  const recount = async (id: string): Promise<boolean> => {
    const [batch, { collected }] = [await batches.get(id), await batches.dispatchState(id)];
    // One that has ended meanwhile is not adrift: it counts its requests that never ran, too.
    if (!batch || isTerminal(batch.status)) return false;
    const names = new Set(await batches.segments(id));
    const unknown = (await storedSegments(files, id)).filter(({ name }) => !names.has(name));
    const count = createCount(batch.total);
    const read = (segment: SegmentLabel) => readWholeSegment(files, id, segment);
    for (const name of names) (await read(knownSegment(name))).forEach(count.add);
    const found: string[] = [];
    for (const segment of unknown)
      try {
        (await read(segment)).forEach(count.add);
        found.push(segment.name);
      } catch (error) {
        logger.warn({ err: error, batch: id, segment: segment.name }, 'a segment cannot be read');
      }
    const counts = count.counts();
    if (!(await batches.recount({ ...batch, collected }, counts, count.settled, found))) return false;
    const { completed, failed } = batch;
    logger.warn({ batch: id, before: { completed, failed, collected }, after: counts }, 'recounted');
    return true;
  };

  return async (id: string): Promise<boolean> => {
    if (!(await batches.isAdrift(id))) return false;
    try {
      return await recount(id);
    } catch (error) {
      // What cannot be read must not be taken for lost.
      logger.warn({ err: error, batch: id }, 'a batch cannot be counted again');
      return false;
    }
  };
};

export type RecountResults = ReturnType<typeof createRecountResults>;
