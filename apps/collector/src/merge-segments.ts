import { randomBytes } from 'node:crypto';
import { crc32 } from 'node:zlib';
import {
  encodeSegmentEntry,
  parseSegmentName,
  type SegmentEntry,
  segmentFolder,
  type SegmentLabel,
  type SegmentSpan,
} from '@promptmill/core';
import { type FileStore, readSegment, TornSegmentError } from '@promptmill/files';

/** Segments read at once; more than this are first merged into fewer. Bounds memory and open files. */
const defaultFanIn = 128;

interface Source {
  readonly entries: AsyncGenerator<SegmentEntry>;
  head: SegmentEntry;
}

/**
 * Of what the segments say of one request, the entry to keep. They may differ where Redis lost its last second, and the
 * request was answered again: a success was paid for.
 */
const bestOf = (open: readonly Source[], source: Source): SegmentEntry => {
  const { index } = source.head;
  return open.find(({ head }) => head.index === index && head.status === 'completed')?.head ?? source.head;
};

/** Merges segments that each are sorted by index, to one entry for each index. */
async function* mergeFew(
  files: FileStore,
  folder: string,
  segments: readonly SegmentLabel[],
): AsyncGenerator<SegmentEntry> {
  const waiting = [...segments].sort((a, b) => b.first - a.first);
  // Sorted by descending index, so that the next entry is at the end. Few are open at once, as few spans overlap.
  const open: Source[] = [];
  const place = (source: Source): void => {
    let at = open.length;
    while (at > 0 && (open[at - 1]?.head.index ?? 0) < source.head.index) at--;
    open.splice(at, 0, source);
  };
  const advance = async (entries: AsyncGenerator<SegmentEntry>): Promise<void> => {
    const next = await entries.next();
    if (!next.done) place({ entries, head: next.value });
  };
  let lastIndex = -1;
  try {
    for (;;) {
      const nextIndex = open.at(-1)?.head.index ?? Infinity;
      const unopened = waiting.at(-1);
      if (unopened && unopened.first <= nextIndex) {
        waiting.pop();
        await advance(readSegment(files, folder, unopened));
        continue;
      }
      // It stays in `open` while its head is out, so that whoever leaves then has it closed too.
      const source = open.at(-1);
      if (!source) return;
      const { index } = source.head;
      if (index > lastIndex) yield bestOf(open, source);
      lastIndex = index;
      open.pop();
      await advance(source.entries);
    }
  } finally {
    await Promise.all(open.map(({ entries }) => entries.return(undefined)));
  }
}

/** The most spans that share an index: how many segments a merge has open at once. */
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
    const entries = readSegment(files, folder, segment);
    while (!(await entries.next()).done);
    return true;
  } catch (error) {
    if (error instanceof TornSegmentError) return false;
    throw error;
  }
};

const listSegments = async (
  files: FileStore,
  folder: string,
  committed: ReadonlySet<string>,
): Promise<SegmentLabel[]> => {
  const segments: SegmentLabel[] = [];
  for await (const { key } of files.list(folder)) {
    const segment = parseSegmentName(key.slice(folder.length));
    // One that was not committed has its results in others too, or they are asked for again: it is used if it can be.
    if (segment && (committed.has(segment.name) || (await isWhole(files, folder, segment)))) segments.push(segment);
  }
  // In one order whatever the store's is: merging again must keep the same entries.
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
  let sum = 0;
  async function* encode(): AsyncGenerator<Buffer> {
    for await (const entry of mergeFew(files, from, run)) {
      const bytes = Buffer.from(encodeSegmentEntry(entry));
      sum = crc32(bytes, sum);
      yield bytes;
    }
  }
  await files.put(to + name, encode());
  return { name, first: run[0]?.first ?? 0, last: Math.max(...run.map(({ last }) => last)), crc32: sum };
};

/**
 * All results of a batch by index, each once. It lists the store, not Redis: what is there counts, unless it is torn and
 * not among the committed. Where too many segments overlap, as when each has a straggler, runs of them are merged into
 * wider ones first.
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
): AsyncGenerator<SegmentEntry> {
  let folder = segmentFolder(batchId);
  let segments = await listSegments(files, folder, new Set(committed));
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
