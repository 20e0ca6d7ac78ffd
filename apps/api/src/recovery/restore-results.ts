import {
  type Batch,
  type BatchUsage,
  fullModelName,
  type LaneTable,
  type LineNote,
  noUsage,
  savedNanoUsdOf,
  type SegmentEntry,
  usageOf,
} from '@promptmill/core';
import { type FileStore, listSegments, readWholeSegment } from '@promptmill/files';
import type {
  BatchCopies,
  BatchStore,
  CommittedCopy,
  DispatchedRequests,
  ResultRecorder,
  Shards,
} from '@promptmill/queue';
import type { Logger } from '@promptmill/runtime';

export interface RestoreResultsOptions {
  readonly batches: BatchStore;
  readonly requests: DispatchedRequests;
  readonly recorder: ResultRecorder;
  readonly copies: Pick<BatchCopies, 'commit'>;
  readonly shards: Pick<Shards, 'commit'>;
  readonly files: FileStore;
  readonly lanes: LaneTable;
  readonly logger: Logger;
}

interface ResultLine {
  readonly response?: { readonly body?: unknown };
  readonly promptmill?: LineNote;
}

const parseLine = ({ line }: SegmentEntry): ResultLine => JSON.parse(line.toString()) as ResultLine;

/** What a segment's entry says of the call that gave its result, of the copy that it is, or that a batch API gave it. */
export const readEntry = (
  entry: SegmentEntry,
): {
  readonly usage: BatchUsage;
  readonly copy?: Pick<CommittedCopy, 'savedNanoUsd'>;
  /** Whether a flex tier gave the answer. */
  readonly isFlex?: boolean;
  readonly isOfBatchApi?: boolean;
} => {
  const { response, promptmill: note = {} } = parseLine(entry);
  if (note.copied_from !== undefined) return { usage: noUsage, copy: { savedNanoUsd: savedNanoUsdOf(note) } };
  const isCompleted = entry.status === 'completed';
  return {
    usage: usageOf(isCompleted ? response?.body : undefined),
    isFlex: isCompleted && note.tier === 'flex',
    isOfBatchApi: note.via === 'batch_api',
  };
};

/**
 * Records results again that Redis has lost and segments in the store hold, so that they are not paid for twice. After
 * a power cut Redis may lack its last second or more. Resolves with the number of results.
 */
export const createRestoreResults = (options: RestoreResultsOptions) => {
  const { batches, requests, recorder, copies, shards, files, lanes, logger } = options;

  /** A line names its model only when a fallback has answered. Where the batch has several, which one is not known. */
  const modelOf = (batch: Batch, entry: SegmentEntry): string => {
    const route = batch.model === undefined ? undefined : lanes.route(batch.model);
    return parseLine(entry).promptmill?.model ?? (route ? fullModelName(route) : 'other');
  };

  const restoreEntries = async (batch: Batch, entries: readonly SegmentEntry[]): Promise<number> => {
    const { id: batchId, tenant } = batch;
    const settled = await requests.areSettled(
      batchId,
      entries.map(({ index }) => index),
    );
    const lost = entries.filter((_, i) => !settled[i]);
    const outcomes = await Promise.all(
      lost.map((entry) => {
        const { usage, isFlex = false } = readEntry(entry);
        return recorder.record(
          { batchId, index: entry.index, bytes: entry.bytes },
          entry.status,
          entry.line.toString(),
          usage,
          entry.status === 'completed'
            ? { tenant, model: modelOf(batch, entry), nanoUsd: entry.nanoUsd, inputCharacters: 0, isFlex }
            : undefined,
        );
      }),
    );
    return outcomes.filter((outcome) => outcome === 'recorded').length;
  };

  /** All results of a batch API in a segment are of one model. */
  const restoreShard = async (batch: Batch, name: string, entries: readonly SegmentEntry[]): Promise<number> => {
    const [first] = entries;
    const results = entries.map((entry) => ({
      ...entry,
      nanoUsd: entry.nanoUsd,
      inputCharacters: 0,
      usage: readEntry(entry).usage,
    }));
    return (first && (await shards.commit(batch, name, modelOf(batch, first), results))) ?? 0;
  };

  /** A segment holds copies alone, results of a batch API alone, or neither. */
  const restoreSegment = async (batch: Batch, name: string, entries: readonly SegmentEntry[]): Promise<number> => {
    const found = entries.flatMap((entry): CommittedCopy[] => {
      const { copy } = readEntry(entry);
      return copy ? [{ index: entry.index, status: entry.status, ...copy }] : [];
    });
    if (found.length > 0) return (await copies.commit(batch.id, name, found)) ?? 0;
    const isShard = entries.some((entry) => readEntry(entry).isOfBatchApi);
    return isShard ? restoreShard(batch, name, entries) : restoreEntries(batch, entries);
  };

  return async (batch: Batch): Promise<number> => {
    const { id } = batch;
    const found = await listSegments(files, id);
    // Most segments that Redis does not list are about to be committed; their requests are settled.
    const known = new Set(await batches.segments(id));
    let restored = 0;
    for (const segment of found.filter(({ name }) => !known.has(name)))
      try {
        restored += await restoreSegment(batch, segment.name, await readWholeSegment(files, id, segment));
      } catch (error) {
        logger.warn({ err: error, batch: id, segment: segment.name }, 'a segment cannot be read');
      }
    return restored;
  };
};

export type RestoreResults = ReturnType<typeof createRestoreResults>;
