import { type Batch, type SegmentEntry, usageOf } from '@promptmill/core';
import { type FileStore, listSegments, readWholeSegment } from '@promptmill/files';
import type { BatchStore, DispatchedRequests, ResultRecorder } from '@promptmill/queue';
import type { Logger } from '@promptmill/runtime';

export interface RestoreResultsOptions {
  readonly batches: BatchStore;
  readonly requests: DispatchedRequests;
  readonly recorder: ResultRecorder;
  readonly files: FileStore;
  readonly logger: Logger;
}

export const usageOfLine = ({ status, line }: SegmentEntry) =>
  usageOf(
    status === 'completed'
      ? (JSON.parse(line.toString()) as { response?: { body?: unknown } }).response?.body
      : undefined,
  );

/**
 * Records results again that Redis has lost and segments in the store hold, so that they are not paid for twice. After
 * a power cut Redis may lack its last second or more. Resolves with the number of results.
 */
export const createRestoreResults = ({ batches, requests, recorder, files, logger }: RestoreResultsOptions) => {
  const restoreEntries = async (batchId: string, entries: readonly SegmentEntry[]): Promise<number> => {
    const settled = await requests.areSettled(
      batchId,
      entries.map(({ index }) => index),
    );
    const lost = entries.filter((_, i) => !settled[i]);
    const outcomes = await Promise.all(
      lost.map((entry) =>
        recorder.record(
          { batchId, index: entry.index, bytes: entry.bytes },
          entry.status,
          entry.line.toString(),
          usageOfLine(entry),
        ),
      ),
    );
    return outcomes.filter((outcome) => outcome === 'recorded').length;
  };

  return async ({ id }: Batch): Promise<number> => {
    const found = await listSegments(files, id);
    // Most segments that Redis does not list are about to be committed; their requests are settled.
    const known = new Set(await batches.segments(id));
    let restored = 0;
    for (const segment of found.filter(({ name }) => !known.has(name)))
      try {
        restored += await restoreEntries(id, await readWholeSegment(files, id, segment));
      } catch (error) {
        logger.warn({ err: error, batch: id, segment: segment.name }, 'a segment cannot be read');
      }
    return restored;
  };
};

export type RestoreResults = ReturnType<typeof createRestoreResults>;
