import { fileKey, readLineHead } from '@promptmill/core';
import { type FileStore, FileStoreError } from '@promptmill/files';
import type { AnswerPlace, AnswerPlaces, FileRecords } from '@promptmill/queue';

export interface FindAnswersOptions {
  readonly places: Pick<AnswerPlaces, 'find'>;
  readonly records: Pick<FileRecords, 'get'>;
  readonly files: FileStore;
}

type Placed = AnswerPlace & { readonly at: number };

/** Places so near to each other are read as one. */
const maxGapBytes = 64 * 1024;
const maxReadBytes = 4 * 1024 * 1024;

/** Places of one file, in runs that are read at once. */
const asRuns = (places: readonly Placed[]): Placed[][] => {
  const runs: Placed[][] = [];
  let [start, end] = [0, -Infinity];
  for (const place of places.toSorted((a, b) => a.offset - b.offset)) {
    const placeEnd = place.offset + place.length;
    if (place.offset > end + maxGapBytes || placeEnd - start > maxReadBytes) {
      runs.push([]);
      start = place.offset;
    }
    runs.at(-1)?.push(place);
    end = placeEnd;
  }
  return runs;
};

const isResultLine = (line: Buffer, length: number): boolean => {
  if (line.length !== length) return false;
  try {
    readLineHead(line);
    return true;
  } catch {
    return false;
  }
};

export interface FoundAnswer {
  /** The place of its question's hash among those asked for. */
  readonly at: number;
  /** Its result line, without its newline. */
  readonly line: Buffer;
}

/**
 * Finds lines that answer questions, among the answers of a tenant's batches since a time. It holds some of them at a time. A
 * place whose file is deleted, or has no result line there, has no answer.
 */
export const createFindAnswers = ({ places, records, files }: FindAnswersOptions) => {
  const read = async (fileId: string, start: number, end: number): Promise<Buffer | undefined> => {
    try {
      const source = await files.get(fileKey(fileId), { start, end });
      return Buffer.concat((await source.toArray()) as Buffer[]);
    } catch (error) {
      if (error instanceof FileStoreError && error.code === 'not_found') return undefined;
      throw error;
    }
  };

  /** @param since Unix seconds */
  return async function* (tenant: string, hashes: readonly string[], since: number): AsyncGenerator<FoundAnswer> {
    const found = await places.find(tenant, hashes, since);
    const placed = found.flatMap((place, at): Placed[] => (place ? [{ ...place, at }] : []));
    for (const [fileId, ofFile] of Map.groupBy(placed, (place) => place.fileId)) {
      // The record goes before the bytes when a file is deleted.
      if (!(await records.get(tenant, fileId))) continue;
      for (const run of asRuns(ofFile)) {
        const start = run[0]?.offset ?? 0;
        const bytes = await read(fileId, start, Math.max(...run.map(({ offset, length }) => offset + length)));
        for (const { at, offset, length } of run) {
          const line = bytes?.subarray(offset - start, offset - start + length);
          if (line && isResultLine(line, length)) yield { at, line };
        }
      }
    }
  };
};

export type FindAnswers = ReturnType<typeof createFindAnswers>;
