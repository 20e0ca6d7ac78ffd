import { randomBytes } from 'node:crypto';
import {
  decodeSegmentEntry,
  encodeSegmentEntry,
  parseSegmentName,
  type SegmentEntry,
  segmentFolder,
  segmentName,
  type SegmentSpan,
} from '@promptmill/core';
import { type FileStore, splitLines } from '@promptmill/files';

/** Segments read at once; more than this are first merged into fewer. Bounds memory and open files. */
const defaultFanIn = 128;

async function* readSegment(files: FileStore, key: string): AsyncGenerator<SegmentEntry> {
  for await (const lines of splitLines(await files.get(key), { maxLineBytes: Number.MAX_SAFE_INTEGER }))
    for (const line of lines) if (!line.oversize) yield decodeSegmentEntry(line.bytes.toString());
}

interface Source {
  readonly entries: AsyncGenerator<SegmentEntry>;
  head: SegmentEntry;
}

/** Merges segments that each are sorted by index; of entries with the same index the first met is kept. */
async function* mergeSpans(
  files: FileStore,
  folder: string,
  spans: readonly SegmentSpan[],
): AsyncGenerator<SegmentEntry> {
  const waiting = [...spans].sort((a, b) => b.first - a.first);
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
        await advance(readSegment(files, folder + unopened.name));
        continue;
      }
      // It stays in `open` while its head is out, so that whoever leaves then has it closed too.
      const source = open.at(-1);
      if (!source) return;
      if (source.head.index > lastIndex) yield source.head;
      lastIndex = source.head.index;
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

const listSpans = async (files: FileStore, folder: string): Promise<SegmentSpan[]> => {
  const spans: SegmentSpan[] = [];
  for await (const { key } of files.list(folder)) {
    const span = parseSegmentName(key.slice(folder.length));
    if (span) spans.push(span);
  }
  return spans.sort((a, b) => a.first - b.first);
};

async function* encode(entries: AsyncIterable<SegmentEntry>): AsyncGenerator<Buffer> {
  for await (const entry of entries) yield Buffer.from(encodeSegmentEntry(entry));
}

/**
 * All results of a batch by index, each once. It lists the store, not Redis: what is there counts. Where too many
 * segments overlap, as when each has a straggler, runs of them are merged into wider ones first.
 */
export async function* mergeSegments(
  files: FileStore,
  batchId: string,
  scratchFolder: string,
  fanIn = defaultFanIn,
): AsyncGenerator<SegmentEntry> {
  let folder = segmentFolder(batchId);
  let spans = await listSpans(files, folder);
  for (let pass = 0; widestOverlap(spans) > fanIn; pass++) {
    const target = `${scratchFolder}${pass}/`;
    const wider: SegmentSpan[] = [];
    for (let from = 0; from < spans.length; from += fanIn) {
      const run = spans.slice(from, from + fanIn);
      const first = run[0]?.first ?? 0;
      const last = Math.max(...run.map((span) => span.last));
      const name = segmentName(first, last, randomBytes(6).toString('hex'));
      await files.put(target + name, encode(mergeSpans(files, folder, run)));
      wider.push({ name, first, last });
    }
    folder = target;
    spans = wider;
  }
  yield* mergeSpans(files, folder, spans);
}
