import {
  type Batch,
  decodeSegmentEntry,
  fileKey,
  isTerminal,
  type RequestStatus,
  segmentFolder,
} from '@promptmill/core';
import { type FileStore, splitLines } from '@promptmill/files';
import type { ApiDependencies } from '../dependencies.ts';
import { badRequest } from '../request-problem.ts';

/** A result as it is in a segment or a file of its batch. */
export interface FoundResult {
  readonly status: RequestStatus;
  /** Its line, without the newline. */
  readonly line: Buffer;
  /** The cursor after it. */
  readonly next: string;
}

/** Results from a place on. */
export interface ResultSource {
  readonly results: AsyncIterable<FoundResult>;
  /** The cursor at which they begin. */
  readonly from: string;
  /** Whether there may be more after them. */
  readonly mayHaveMore: boolean;
}

/** What a call that chooses among results looks at, so that it costs the same however large the batch is. */
export const mostLooked = { bytes: 16 * 2 ** 20, segments: 1000 };

interface Place {
  /** A segment's number, or which of the batch's files. */
  readonly where: number | 'output' | 'error';
  /** The byte there at which the next result starts. */
  readonly offset: number;
}

const noResults = async function* (): AsyncGenerator<FoundResult> {};

const parsePlace = (cursor: string): Place => {
  const [where = '', offset] = cursor.split('.');
  return { where: where === 'output' || where === 'error' ? where : Number(where), offset: Number(offset) };
};

/** The lines of a file from `offset` on, each with the offset after it. Refuses an offset within a line. */
async function* linesFrom(files: FileStore, key: string, offset: number) {
  // The byte before `offset` must end a line. A read from that byte then begins with an empty line.
  const start = Math.max(0, offset - 1);
  const source = await files.get(key, { start });
  const options = { maxLineBytes: Number.MAX_SAFE_INTEGER, startOffset: start };
  let seam = offset > 0;
  for await (const lines of splitLines(source, options))
    for (const line of lines) {
      if (line.oversize || (seam && line.bytes.length > 0))
        throw badRequest({
          message: "Invalid 'after': no result starts there.",
          code: 'invalid_value',
          param: 'after',
        });
      if (!seam) yield { bytes: line.bytes, nextOffset: line.nextOffset };
      seam = false;
    }
}

async function* ofSegments(
  files: FileStore,
  keys: readonly string[],
  first: number,
  offset: number,
): AsyncGenerator<FoundResult> {
  for (const [i, key] of keys.entries())
    for await (const { bytes, nextOffset } of linesFrom(files, key, i === 0 ? offset : 0)) {
      const { status, line } = decodeSegmentEntry(bytes);
      yield { status, line, next: `${first + i}.${nextOffset}` };
    }
}

async function* ofFile(files: FileStore, batch: Batch, name: 'output' | 'error', offset: number) {
  const status: RequestStatus = name === 'output' ? 'completed' : 'failed';
  const key = fileKey(name === 'output' ? batch.outputFileId : batch.errorFileId);
  for await (const { bytes, nextOffset } of linesFrom(files, key, offset))
    yield { status, line: bytes, next: `${name}.${nextOffset}` };
}

/** Where to begin: of an ended batch, results of one status are in a file of their own. */
const firstPlace = ({ status }: Batch, wanted: RequestStatus | undefined): Place => {
  if (wanted === undefined || !isTerminal(status)) return { where: 0, offset: 0 };
  return { where: wanted === 'completed' ? 'output' : 'error', offset: 0 };
};

export interface ResultsFrom {
  /** The cursor of an earlier page, or `end`. Default: from the first on. */
  readonly after?: string | undefined;
  /** Results of this status only. Segments have those of both: their reader has to choose. */
  readonly status?: RequestStatus | undefined;
  /** How many results the caller wants to look at, at least. */
  readonly atMost: number;
}

/** Opens the results of a batch, in its segments while it runs. Nothing is read until they are. */
export const openResults = async (
  { batches, files }: Pick<ApiDependencies, 'batches' | 'files'>,
  batch: Batch,
  { after, status, atMost }: ResultsFrom,
): Promise<ResultSource> => {
  if (after === 'end') {
    const names = await batches.segments(batch.id);
    return { results: noResults(), from: `${names.length}.0`, mayHaveMore: false };
  }
  const { where, offset } = after === undefined ? firstPlace(batch, status) : parsePlace(after);
  const from = `${where}.${offset}`;
  if (typeof where === 'string') {
    const isThere = where === 'output' ? batch.outputPublished : batch.errorPublished;
    return { results: isThere ? ofFile(files, batch, where, offset) : noResults(), from, mayHaveMore: false };
  }
  // The first segment may have no further result, and each other one has at least one: together they have more than
  // `atMost`. One more tells whether there are others.
  const names = await batches.segments(batch.id, where, where + atMost + 2);
  const keys = names.slice(0, atMost + 2).map((name) => `${segmentFolder(batch.id)}${name}`);
  return {
    results: ofSegments(files, keys, where, offset),
    from,
    mayHaveMore: names.length > keys.length,
  };
};
