import {
  addUsage,
  isTerminal,
  noUsage,
  parseSegmentName,
  type SegmentEntry,
  type SegmentLabel,
} from '@promptmill/core';
import { type FileStore, listSegments, readWholeSegment } from '@promptmill/files';
import type { BatchCounts, BatchSnapshot, BatchStore, DispatchedRequests } from '@promptmill/queue';
import type { Logger } from '@promptmill/runtime';
import { readEntry } from './restore-results.ts';

export interface RecountResultsOptions {
  readonly batches: Pick<BatchStore, 'segments'>;
  readonly requests: Pick<DispatchedRequests, 'repeatBits' | 'handedOffBits'>;
  readonly counts: Pick<BatchCounts, 'differ' | 'recount'>;
  readonly files: FileStore;
  readonly logger: Logger;
}

/** Counts the results of a batch of `total` requests, each request once. `dispatched` of them are before the cursor. */
const createCount = (total: number, dispatched: number, repeats: Buffer, handedOff: Buffer) => {
  const settled = Buffer.alloc(Math.ceil(total / 8));
  let [completed, failed, settledBytes, usage, spentNanoUsd, unpriced] = [0, 0, 0, noUsage, 0, 0];
  let [flexAnswers, flexNanoUsd] = [0, 0];
  let [copied, copiedAhead, savedNanoUsd, unpricedSaved] = [0, 0, 0, 0];

  const addCopy = (index: number, saved: number | undefined): void => {
    copied++;
    if (index >= dispatched) copiedAhead++;
    if (saved === undefined) unpricedSaved++;
    else savedNanoUsd += saved;
  };

  const waitingHandedOff = (): number => {
    let count = 0;
    for (let index = 0; index < dispatched; index++)
      if (((handedOff[index >> 3] ?? 0) & (0x80 >> (index & 7))) !== 0) count++;
    return count;
  };

  const waitingRepeats = (): number => {
    let count = 0;
    for (let index = 0; index < dispatched; index++) {
      const [byte, bit] = [index >> 3, 0x80 >> (index & 7)];
      if (((repeats[byte] ?? 0) & ~(settled[byte] ?? 0) & bit) !== 0) count++;
    }
    return count;
  };

  return {
    settled,
    add: (entry: SegmentEntry): void => {
      const [byte, bit] = [entry.index >> 3, 0x80 >> (entry.index & 7)];
      if (((settled[byte] ?? 0) & bit) !== 0) return;
      settled[byte] = (settled[byte] ?? 0) | bit;
      if (entry.status === 'completed') completed++;
      else failed++;
      settledBytes += entry.bytes;
      const { usage: used, copy, isFlex, isOfBatchApi } = readEntry(entry);
      usage = addUsage(usage, used);
      if (copy) addCopy(entry.index, copy.savedNanoUsd);
      if (isOfBatchApi && entry.index >= dispatched) copiedAhead++;
      if (entry.nanoUsd === undefined) unpriced++;
      else spentNanoUsd += entry.nanoUsd;
      if (!isFlex) return;
      flexAnswers++;
      flexNanoUsd += entry.nanoUsd ?? 0;
    },
    counts: () => ({
      completed,
      failed,
      settledBytes,
      usage,
      spentNanoUsd,
      unpriced,
      flexAnswers,
      flexNanoUsd,
      copied,
      copiedAhead,
      waitingRepeats: waitingRepeats(),
      waitingHandedOff: waitingHandedOff(),
      savedNanoUsd,
      unpricedSaved,
    }),
  };
};

/**
 * Sets a batch's counts and bits to what is in its segments, when they differ. That happens when Redis's append-only
 * file was cut off in the middle of a script's effects: from its second start on, Redis has some of the effects without
 * the others. A request may then be counted twice, or seem settled without a result. Resolves with whether the batch
 * was counted again.
 */
export const createRecountResults = ({ batches, requests, counts, files, logger }: RecountResultsOptions) => {
  const knownSegment = (name: string): SegmentLabel => {
    const segment = parseSegmentName(name);
    if (!segment) throw new Error(`${name} is no segment`);
    return segment;
  };

  const recount = async ({ batch, state: { collected, dispatched } }: BatchSnapshot): Promise<boolean> => {
    const { id } = batch;
    const names = new Set(await batches.segments(id));
    const unknown = (await listSegments(files, id)).filter(({ name }) => !names.has(name));
    const [repeats, handedOff] = await Promise.all([requests.repeatBits(id), requests.handedOffBits(id)]);
    const count = createCount(batch.total, dispatched, repeats, handedOff);
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
    if (!(await counts.recount({ ...batch, collected, dispatched }, after, count.settled, found))) return false;
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
