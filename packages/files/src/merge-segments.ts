import { randomBytes } from 'node:crypto';
import { crc32 } from 'node:zlib';
import {
  type SegmentEntry,
  segmentEntryHead,
  segmentFolder,
  type SegmentLabel,
  type SegmentSpan,
} from '@promptmill/core';
import type { FileStore } from './file-store.ts';
import { listSegments, readSegment, TornSegmentError } from './read-segment.ts';

/**
 * At most this many segments are open at once, each with 128 KiB in memory. More of them are first merged into fewer.
 */
const defaultFanIn = 64;

type Chunks = ReturnType<typeof readSegment>;

interface Source {
  readonly chunks: Chunks;
  /** The entries after the head in the same chunk. */
  readonly entries: Iterator<SegmentEntry>;
  head: SegmentEntry;
}

/**
 * Chooses the entry to keep when several segments have one for the same request. The entries may differ: when Redis
 * lost its last second, the request was answered again. A success was paid for, so it is kept.
 *
 * @param open sorted by descending index; `source` is its last
 */
const bestOf = (open: readonly Source[], source: Source): SegmentEntry => {
  const { index } = source.head;
  for (let at = open.length - 1; open[at]?.head.index === index; at--) {
    const head = open[at]?.head;
    if (head?.status === 'completed') return head;
  }
  return source.head;
};

/**
 * Merges segments, each sorted by index, to one entry for each index. It yields some entries at a time. Entries keep
 * their chunks in memory, so the caller drops them before it asks for more.
 */
async function* mergeFew(
  files: FileStore,
  folder: string,
  segments: readonly SegmentLabel[],
): AsyncGenerator<SegmentEntry[]> {
  const waiting = [...segments].sort((a, b) => b.first - a.first);
  // Sorted by descending index: the next entry is at the end. Few are open at once, since few spans overlap.
  const open: Source[] = [];
  const place = (source: Source): void => {
    let at = open.length;
    while (at > 0 && (open[at - 1]?.head.index ?? 0) < source.head.index) at--;
    open.splice(at, 0, source);
  };
  const unfinished = new Set<Chunks>();
  const readOn = async (chunks: Chunks): Promise<void> => {
    unfinished.add(chunks);
    const chunk = await chunks.next();
    if (chunk.done) {
      unfinished.delete(chunks);
      return;
    }
    const first = chunk.value.next();
    if (!first.done) place({ chunks, entries: chunk.value, head: first.value });
  };
  let lastIndex = -1;
  let merged: SegmentEntry[] = [];
  try {
    for (;;) {
      const source = open.at(-1);
      const unopened = waiting.at(-1);
      if (unopened && unopened.first <= (source?.head.index ?? Infinity)) {
        waiting.pop();
        await readOn(readSegment(files, folder, unopened));
        continue;
      }
      if (!source) return;
      const { index } = source.head;
      if (index > lastIndex) merged.push(bestOf(open, source));
      lastIndex = index;
      const next = source.entries.next();
      if (!next.done) {
        open.pop();
        source.head = next.value;
        place(source);
        continue;
      }
      if (merged.length > 0) yield merged;
      merged = [];
      open.pop();
      await readOn(source.chunks);
    }
  } finally {
    await Promise.all([...unfinished].map((chunks) => chunks.return(undefined)));
  }
}

/** The most spans that share an index. A merge has as many segments open at once. */
export const widestOverlap = (spans: readonly SegmentSpan[]): number => {
  const edges = spans.flatMap(({ first, last }) => [
    { at: first, change: 1 },
    { at: last + 1, change: -1 },
  ]);
  edges.sort((a, b) => a.at - b.at || a.change - b.change);
  let now = 0;
  let most = 0;
  for (const { change } of edges) most = Math.max(most, (now += change));
  return most;
};

const isWhole = async (files: FileStore, folder: string, segment: SegmentLabel): Promise<boolean> => {
  try {
    // The checksum alone decides, so nothing is decoded.
    const chunks = readSegment(files, folder, segment);
    while (!(await chunks.next()).done);
    return true;
  } catch (error) {
    if (error instanceof TornSegmentError) return false;
    throw error;
  }
};

/**
 * The segments to merge: all in the store, whatever Redis lists. A torn segment that was not committed is left out: its
 * results are in other segments too, or their requests are called again.
 */
const findSegments = async (
  files: FileStore,
  batchId: string,
  committed: ReadonlySet<string>,
): Promise<SegmentLabel[]> => {
  const segments: SegmentLabel[] = [];
  for (const segment of await listSegments(files, batchId))
    if (committed.has(segment.name) || (await isWhole(files, segmentFolder(batchId), segment))) segments.push(segment);
  // The store lists in any order, and merging again must keep the same entries.
  return segments.sort((a, b) => a.first - b.first || (a.name < b.name ? -1 : 1));
};

/** Writes several segments as one. */
const widen = async (
  files: FileStore,
  from: string,
  run: readonly SegmentLabel[],
  to: string,
): Promise<SegmentLabel> => {
  const name = randomBytes(8).toString('hex');
  const newline = Buffer.from('\n');
  let sum = 0;
  async function* encode(): AsyncGenerator<Buffer> {
    for await (const entries of mergeFew(files, from, run)) {
      const bytes = Buffer.concat(
        entries.flatMap((entry) => [Buffer.from(segmentEntryHead(entry)), entry.line, newline]),
      );
      sum = crc32(bytes, sum);
      yield bytes;
    }
  }
  await files.put(to + name, encode());
  return { name, first: run[0]?.first ?? 0, last: Math.max(...run.map(({ last }) => last)), crc32: sum };
};

/**
 * All results of a batch by index, each once. It yields some entries at a time; the caller drops them before it asks
 * for more. When too many segments overlap, for example because each has a straggler, runs of them are first merged
 * into wider ones.
 *
 * @param committed names of segments that must be whole
 * @throws TornSegmentError, perhaps only at the end; FileStoreError
 */
export async function* mergeSegments(
  files: FileStore,
  batchId: string,
  committed: readonly string[],
  scratchFolder: string,
  fanIn = defaultFanIn,
): AsyncGenerator<SegmentEntry[]> {
  let folder = segmentFolder(batchId);
  let segments = await findSegments(files, batchId, new Set(committed));
  for (let pass = 0; widestOverlap(segments) > fanIn; pass++) {
    const target = `${scratchFolder}${pass}/`;
    const wider: SegmentLabel[] = [];
    for (let from = 0; from < segments.length; from += fanIn)
      wider.push(await widen(files, folder, segments.slice(from, from + fanIn), target));
    folder = target;
    segments = wider;
  }
  yield* mergeFew(files, folder, segments);
}
