import {
  type Batch,
  type BatchStatus,
  fileKey,
  isTerminal,
  parseRequestLine,
  resultLine,
  scratchFolder,
  type SegmentEntry,
} from '@promptmill/core';
import { type FileStore, mergeSegments, readInput } from '@promptmill/files';
import type { BatchStore, FileRecords } from '@promptmill/queue';
import { noFailPoints, type PassFailPoint } from '@promptmill/runtime';
import { InputChangedError, ResultsMissingError } from './blocked-by.ts';
import { openResultFile } from './result-file.ts';

export interface FinalizeBatchOptions {
  readonly batches: BatchStore;
  readonly records: FileRecords;
  readonly files: FileStore;
  readonly now: () => number;
  /** Default: there are no fail points. */
  readonly passFailPoint?: PassFailPoint;
}

/** The last status of a batch, and the error of its requests that never ran. */
interface Ending {
  readonly status: BatchStatus;
  readonly missing?: { readonly code: string; readonly message: string };
}

const endings = {
  cancelled: {
    status: 'cancelled',
    missing: { code: 'batch_cancelled', message: 'This request was not executed because the batch was cancelled.' },
  },
  expired: {
    status: 'expired',
    missing: {
      code: 'batch_expired',
      message: 'This request could not be executed before the completion window expired.',
    },
  },
} as const satisfies Record<string, Ending>;

/** The part of a result that goes into a result file. */
type WrittenResult = Pick<SegmentEntry, 'status' | 'line'>;

const linesOf = (results: readonly WrittenResult[], status: WrittenResult['status']): Buffer[] =>
  results.filter((result) => result.status === status).map(({ line }) => line);

/**
 * The custom id of each request in the input, by index. Requests are counted as dispatch counts them: a blank line holds
 * none.
 *
 * @throws InputChangedError
 */
async function* customIdsOf(files: FileStore, batch: Batch): AsyncGenerator<string> {
  const source = await files.get(fileKey(batch.inputFileId));
  for await (const lines of readInput(source, parseRequestLine))
    for (const line of lines) {
      if (line.oversize || !line.parsed.ok) throw new InputChangedError(`line ${line.number} is no request`);
      yield line.parsed.request.customId;
    }
}

async function* oneByOne<Item>(lists: AsyncGenerator<readonly Item[]>): AsyncGenerator<Item, void, undefined> {
  for await (const items of lists) yield* items;
}

/**
 * The collected results, and a line for each request that has none, in input order. It throws at the end when it found
 * fewer than `expected`: a result that was paid for must not be reported as a request that never ran.
 *
 * @throws ResultsMissingError; InputChangedError
 */
async function* fillMissing(
  files: FileStore,
  batch: Batch,
  merged: AsyncGenerator<SegmentEntry[]>,
  expected: number,
  missing: NonNullable<Ending['missing']>,
): AsyncGenerator<WrittenResult[]> {
  // A batch that was cancelled before its validation has no requests yet, and its input may have lines that are no
  // requests.
  if (batch.total === 0) return;
  const collected = oneByOne(merged);
  try {
    let entry = await collected.next();
    let index = 0;
    let found = 0;
    for await (const customId of customIdsOf(files, batch)) {
      if (!entry.done && entry.value.index === index) {
        found++;
        yield [entry.value];
        entry = await collected.next();
      } else {
        const line = resultLine({ batchId: batch.id, index, customId }, { kind: 'error', ...missing });
        yield [{ status: 'failed', line: Buffer.from(line) }];
      }
      index++;
    }
    if (index !== batch.total) throw new InputChangedError(`it has ${index} requests, not ${batch.total}`);
    if (found < expected) throw new ResultsMissingError(found, expected);
  } finally {
    await collected.return(undefined);
  }
}

/**
 * Writes a batch's output and error file and ends the batch. Every step may be repeated: the same segments give the
 * same bytes under the same ids, and only the first to set the status ends the batch.
 */
export const createFinalizeBatch = ({
  batches,
  records,
  files,
  now,
  passFailPoint = noFailPoints,
}: FinalizeBatchOptions) => {
  const writeFiles = async (batch: Batch, results: AsyncIterable<WrittenResult[]>, signal: AbortSignal | undefined) => {
    let lines = 0;
    const output = openResultFile(files, fileKey(batch.outputFileId));
    const errors = openResultFile(files, fileKey(batch.errorFileId));
    try {
      for await (const some of results) {
        signal?.throwIfAborted();
        await output.write(linesOf(some, 'completed'));
        await errors.write(linesOf(some, 'failed'));
        lines += some.length;
      }
      if (lines !== batch.total) throw new ResultsMissingError(lines, batch.total);
      const written = await Promise.all([output.finish(), errors.finish()]);
      return { output: written[0], errors: written[1] };
    } catch (error) {
      await Promise.all([output.abort(error as Error), errors.abort(error as Error)]);
      throw error;
    } finally {
      // Each failed attempt leaves files here, and many would fill the disk.
      await files.deletePrefix(scratchFolder(batch.id));
    }
  };

  const publish = async (batch: Batch, id: string, kind: 'output' | 'error', bytes: number): Promise<void> => {
    const createdAt = Math.floor(now() / 1000);
    const { outputExpiresAfterSeconds: seconds } = batch;
    await records.put({
      id,
      tenant: batch.tenant,
      filename: `${batch.id}_${kind}.jsonl`,
      purpose: 'batch_output',
      bytes,
      createdAt,
      ...(seconds === undefined ? {} : { expiresAt: createdAt + seconds }),
    });
  };

  return async (batchId: string, signal?: AbortSignal): Promise<'finalized' | 'nothing to do'> => {
    const snapshot = await batches.read(batchId);
    if (!snapshot) return 'nothing to do';
    const { batch, state } = snapshot;
    const { stopping, collected, ready } = state;
    if (!ready || isTerminal(batch.status)) return 'nothing to do';
    // A batch that is finalizing has all of its results: a stop changes nothing any more.
    const ending: Ending = stopping && batch.status !== 'finalizing' ? endings[stopping] : { status: 'completed' };
    if (!stopping && batch.status === 'in_progress') await batches.transition(batchId, 'finalizing', now());

    const committed = await batches.segments(batchId);
    const merged = mergeSegments(files, batchId, committed, scratchFolder(batchId));
    const results = ending.missing ? fillMissing(files, batch, merged, collected, ending.missing) : merged;
    const { output, errors } = await writeFiles(batch, results, signal);

    await Promise.all([
      output.lines > 0 && publish(batch, batch.outputFileId, 'output', output.bytes),
      errors.lines > 0 && publish(batch, batch.errorFileId, 'error', errors.bytes),
    ]);
    passFailPoint('files-published');
    const outcome = await batches.transition(batchId, ending.status, now(), {
      // The files are the truth: a Redis that lost its last second may have counted wrongly.
      completed: output.lines,
      failed: errors.lines,
      outputPublished: output.lines > 0,
      errorPublished: errors.lines > 0,
    });
    passFailPoint('finished');
    return outcome.kind === 'moved' ? 'finalized' : 'nothing to do';
  };
};
