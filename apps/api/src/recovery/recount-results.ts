import {
  addUsage,
  isTerminal,
  noUsage,
  parseSegmentName,
  type SegmentEntry,
  type SegmentLabel,
} from '@promptmill/core';
import { type FileStore, listSegments, readWholeSegment } from '@promptmill/files';
import type { BatchCounts, BatchSnapshot, BatchStore } from '@promptmill/queue';
import type { Logger } from '@promptmill/runtime';
import { usageOfLine } from './restore-results.ts';

export interface RecountResultsOptions {
  readonly batches: Pick<BatchStore, 'segments'>;
  readonly counts: Pick<BatchCounts, 'differ' | 'recount'>;
  readonly files: FileStore;
  readonly logger: Logger;
}

/** Counts the results of a batch of `total` requests, each request once. */
const createCount = (total: number) => {
  const settled = Buffer.alloc(Math.ceil(total / 8));
  let [completed, failed, settledBytes, usage, spentNanoUsd, unpriced] = [0, 0, 0, noUsage, 0, 0];
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
      if (entry.nanoUsd === undefined) unpriced++;
      else spentNanoUsd += entry.nanoUsd;
    },
    counts: () => ({ completed, failed, settledBytes, usage, spentNanoUsd, unpriced }),
  };
};

/**
 * Sets a batch's counts and bits to what is in its segments, when they differ. That happens when Redis's append-only
 * file was cut off in the middle of a script's effects: from its second start on, Redis has some of the effects without
 * the others. A request may then be counted twice, or seem settled without a result. Resolves with whether the batch
 * was counted again.
 */
export const createRecountResults = ({ batches, counts, files, logger }: RecountResultsOptions) => {
  const knownSegment = (name: string): SegmentLabel => {
    const segment = parseSegmentName(name);
    if (!segment) throw new Error(`${name} is no segment`);
    return segment;
  };

  const recount = async ({ batch, state: { collected } }: BatchSnapshot): Promise<boolean> => {
    const { id } = batch;
    const names = new Set(await batches.segments(id));
    const unknown = (await listSegments(files, id)).filter(({ name }) => !names.has(name));
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
    const after = count.counts();
    if (!(await counts.recount({ ...batch, collected }, after, count.settled, found))) return false;
    const { completed, failed } = batch;
    logger.warn({ batch: id, before: { completed, failed, collected }, after }, 'recounted');
    return true;
  };

  return async (snapshot: BatchSnapshot): Promise<boolean> => {
    const { id, status } = snapshot.batch;
    // A batch that has ended also counts its requests that never ran.
    if (isTerminal(status) || !(await counts.differ(id))) return false;
    try {
      return await recount(snapshot);
    } catch (error) {
      // Results in a segment that cannot be read are not lost.
      logger.warn({ err: error, batch: id }, 'a batch cannot be counted again');
      return false;
    }
  };
};

export type RecountResults = ReturnType<typeof createRecountResults>;
