import type { FileStore } from './file-store.ts';
import { writeSegment } from './write-segment.ts';

/** A result for a segment. `entry` is its line there, with its newline. */
interface Held {
  readonly index: number;
  readonly entry: Buffer;
}

export interface SegmentWriterOptions<T extends Held> {
  readonly files: FileStore;
  readonly batchId: string;
  /** For each of the requests, whether it has its result. */
  readonly areSettled: (indexes: readonly number[]) => Promise<readonly boolean[]>;
  /** Counts the results of a published segment. Resolves with undefined when the batch takes no more. */
  readonly commit: (segment: string, results: readonly T[]) => Promise<number | undefined>;
  /** Called between the two. */
  readonly onWritten?: () => void;
  readonly onCommitted?: () => void;
}

/** A segment has this many results, or this many bytes of them. */
const maxResults = 4000;
const maxBytes = 4 * 1024 * 1024;

/**
 * Writes results of a batch as segments, and commits each. A crash in between leaves a segment that Redis does not list; the
 * results are written again, and the merge keeps one of each.
 */
export const createSegmentWriter = <T extends Held>(options: SegmentWriterOptions<T>) => {
  const { files, batchId, areSettled, commit, onWritten, onCommitted } = options;
  let held: T[] = [];
  let bytes = 0;

  const flush = async (): Promise<boolean> => {
    if (held.length === 0) return true;
    const settled = await areSettled(held.map(({ index }) => index));
    const wanted = held.filter((_, i) => !settled[i]);
    [held, bytes] = [[], 0];
    if (wanted.length === 0) return true;
    const name = await writeSegment(files, batchId, wanted);
    onWritten?.();
    const counted = await commit(name, wanted);
    onCommitted?.();
    return counted !== undefined;
  };

  return {
    /** Holds a result. Resolves with false when the batch takes no more. */
    async add(result: T): Promise<boolean> {
      held.push(result);
      bytes += result.entry.length;
      return held.length < maxResults && bytes < maxBytes ? true : flush();
    },

    /** Writes what it holds. Resolves with false when the batch takes no more. */
    flush,
  };
};
