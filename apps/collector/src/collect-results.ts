import { setTimeout as pause } from 'node:timers/promises';
import { splitSegmentEntries } from '@promptmill/core';
import { type FileStore, FileStoreError, writeSegment } from '@promptmill/files';
import { keptAnswersName, type RecordedResults, type ResultsStream } from '@promptmill/queue';
import { noFailPoints, type PassFailPoint } from '@promptmill/runtime';
import { createSegmentBuffer, type Segment } from './segment-buffer.ts';

export interface WrittenSegment {
  readonly batchId: string;
  /** How many results are in it. */
  readonly results: number;
  /** The least index of its requests. */
  readonly first: number;
  /** When writing it began, in Unix milliseconds. */
  readonly startedAtMs: number;
}

export interface CollectResultsOptions {
  readonly stream: ResultsStream;
  readonly files: FileStore;
  /** Moves answers of kept calls, which these entries name, into the file store. */
  readonly moveAnswers: (entries: readonly RecordedResults[]) => Promise<void>;
  /** Called when every result a batch will have is in a segment. May be called more than once. */
  readonly onReady: (batchId: string) => Promise<void>;
  readonly onSegment: (segment: WrittenSegment) => void;
  /** Called each time a segment of a batch could not be written. */
  readonly onBlocked: (batchId: string, error: FileStoreError) => Promise<void>;
  readonly onError: (error: unknown) => void;
  readonly now?: () => number;
  /** Default: there are no fail points. */
  readonly passFailPoint?: PassFailPoint;
}

/** The most entries read at once, and roughly the most bytes. An entry rarely has more than 256 KiB. */
const maxReadCount = 100;
const maxReadBytes = 16 * 1024 * 1024;
/** Results that come within this time are read together: a read costs as much as several results do. */
const gatherMs = 5;
const longestBlockMs = 1000;
const claimEveryMs = 1000;
/** No live collector holds a result this long: the one that has it is dead or stuck. */
const claimIdleMs = 5000;
const pauseAfterErrorMs = 500;
/** Segments written at once. Meanwhile results are read, so that a batch's last one does not wait for a large segment. */
const maxWrites = 4;
const forgetDeadAfterMs = 3_600_000;

/**
 * The collector's loop: it reads results off the stream, writes them as segments and commits those. After a crash the
 * results are still on the stream, and another collector claims them.
 */
export const collectResults = (options: CollectResultsOptions) => {
  const {
    stream,
    files,
    moveAnswers,
    onReady,
    onSegment,
    onBlocked,
    onError,
    now = Date.now,
    passFailPoint = noFailPoints,
  } = options;
  const buffer = createSegmentBuffer();
  const stop = new AbortController();
  const writes = new Set<Promise<void>>();
  /** The entries of the stream that are in these writes. */
  const inWrites = new Set<string>();
  let hasFailed = false;
  let nextClaimAtMs = 0;
  let readCount = maxReadCount;

  const flush = async (segment: Segment): Promise<void> => {
    if (segment.batchId === keptAnswersName) return moveAnswers(segment.results);
    const startedAtMs = Date.now();
    const entries = segment.results.flatMap((recorded) => splitSegmentEntries(recorded.entries));
    const name = await writeSegment(files, segment.batchId, entries);
    passFailPoint('segment-written');
    const state = await stream.commit(segment.batchId, name, segment.results);
    const first = entries.reduce((least, { index }) => Math.min(least, index), Infinity);
    onSegment({ batchId: segment.batchId, results: entries.length, first, startedAtMs });
    if (state !== 'ready') return;
    passFailPoint('segment-committed');
    await onReady(segment.batchId);
  };

  /**
   * The results of a segment that cannot be written stay on the stream, unacknowledged, and come back through a claim.
   */
  const flushOrTell = async (segment: Segment): Promise<void> => {
    try {
      await flush(segment);
    } catch (error) {
      hasFailed = true;
      if (error instanceof FileStoreError && segment.batchId !== keptAnswersName)
        await onBlocked(segment.batchId, error).catch(onError);
      else onError(error);
    }
  };

  const write = (segment: Segment): void => {
    const ids = segment.results.map(({ streamId }) => streamId);
    for (const id of ids) inWrites.add(id);
    const written = flushOrTell(segment).finally(() => {
      writes.delete(written);
      for (const id of ids) inWrites.delete(id);
    });
    writes.add(written);
  };

  /** Holds results for a segment. The next read expects entries as large as these. */
  const hold = (results: readonly RecordedResults[]): void => {
    // A claim also returns entries that this collector is writing.
    for (const recorded of results) if (!inWrites.has(recorded.streamId)) buffer.add(recorded, now());
    const largest = Math.max(1, ...results.map(({ entries }) => entries.length));
    if (results.length > 0) readCount = Math.max(1, Math.min(maxReadCount, Math.floor(maxReadBytes / largest)));
  };

  const cycle = async (): Promise<void> => {
    if (now() >= nextClaimAtMs) {
      const { results, more } = await stream.claim(readCount, claimIdleMs);
      if (!more) nextClaimAtMs = now() + claimEveryMs;
      hold(results);
    }
    // BLOCK 0 would wait for ever.
    const blockMs = Math.max(1, Math.min(longestBlockMs, Math.ceil(buffer.dueInMs(now()))));
    const results = await stream.read(readCount, blockMs);
    const more = results.length === readCount;
    hold(results);
    for (const segment of buffer.takeDue(now())) write(segment);
    while (writes.size >= maxWrites) await Promise.race(writes);
    if (hasFailed) await pause(pauseAfterErrorMs);
    else if (results.length > 0 && !more) await pause(gatherMs);
    hasFailed = false;
  };

  const run = async (): Promise<void> => {
    while (!stop.signal.aborted) {
      try {
        await stream.ensureGroup();
        await stream.forgetDead(forgetDeadAfterMs);
        while (!stop.signal.aborted) await cycle();
      } catch (error) {
        if (!stop.signal.aborted) onError(error);
        await pause(pauseAfterErrorMs);
      }
    }
    for (const segment of buffer.takeDue(Infinity)) write(segment);
    await Promise.all(writes);
  };

  const running = run();
  return {
    /** Writes the results it holds, and ends. */
    async close(): Promise<void> {
      stop.abort();
      await running;
    },
  };
};
