import { setImmediate as nextTurn } from 'node:timers/promises';
import type { FileStore } from './file-store.ts';
import { readInput } from './read-input.ts';

export interface SortLinesOptions {
  /** How many lines are sorted in memory at once. Default 16,384: more would hold up the event loop. */
  readonly runLines?: number;
  /** How many characters of lines are sorted in memory at once. Default 16 Mi. */
  readonly runCharacters?: number;
  /** How many runs are read at once, each with a chunk of some 64 KiB in memory. Default 64. */
  readonly fanIn?: number;
}

/** Lines that are merged before others have a turn. */
const mergeAtOnce = 1000;

/** A sorted run of lines, read some at a time. */
interface Run {
  readonly chunks: AsyncGenerator<readonly string[], void, undefined>;
  lines: readonly string[];
  at: number;
}

async function* readRun(files: FileStore, key: string): AsyncGenerator<readonly string[], void, undefined> {
  for await (const lines of readInput(await files.get(key), (text) => text))
    yield lines.flatMap((line) => (line.oversize ? [] : [line.parsed]));
}

/** The first place whose line is not less than `line`, in runs sorted by their next line, the greatest first. */
const placeOf = (runs: readonly Run[], line: string): number => {
  let [low, high] = [0, runs.length];
  while (low < high) {
    const middle = (low + high) >> 1;
    const run = runs[middle];
    if (run && (run.lines[run.at] ?? '') > line) low = middle + 1;
    else high = middle;
  }
  return low;
};

async function* mergeRuns(files: FileStore, keys: readonly string[]): AsyncGenerator<string[], void, undefined> {
  // The run with the least line is the last.
  const runs: Run[] = [];
  const place = (run: Run): void => void runs.splice(placeOf(runs, run.lines[run.at] ?? ''), 0, run);
  const readOn = async (run: Run): Promise<void> => {
    const next = await run.chunks.next();
    if (next.done) return;
    [run.lines, run.at] = [next.value, 0];
    place(run);
  };
  const opened = keys.map((key) => ({ chunks: readRun(files, key), lines: [], at: 0 }));
  let merged: string[] = [];
  try {
    for (const run of opened) await readOn(run);
    for (let run = runs.pop(); run; run = runs.pop()) {
      merged.push(run.lines[run.at] ?? '');
      run.at++;
      if (run.at < run.lines.length) place(run);
      else await readOn(run);
      if (merged.length < mergeAtOnce) continue;
      yield merged;
      merged = [];
      // Others have a turn: what is read may be there already.
      await nextTurn();
    }
    if (merged.length > 0) yield merged;
  } finally {
    await Promise.all(opened.map(({ chunks }) => chunks.return()));
  }
}

async function* asBytes(lines: AsyncIterable<readonly string[]>): AsyncGenerator<Buffer, void, undefined> {
  for await (const some of lines) if (some.length > 0) yield Buffer.from(`${some.join('\n')}\n`);
}

/**
 * Sorts lines by their UTF-16 code units, in memory that does not grow with their number: runs of them are sorted, kept in
 * a folder and merged. It yields some lines at a time, and removes the folder at its end. Few lines need no folder.
 *
 * @param folder for files of this sort alone, with its `/`
 * @param lines none may be blank or hold a newline
 * @throws FileStoreError, and what `lines` throws
 */
export async function* sortLines(
  files: FileStore,
  folder: string,
  lines: AsyncIterable<readonly string[]>,
  { runLines = 16_384, runCharacters = 16 * 1024 * 1024, fanIn = 64 }: SortLinesOptions = {},
): AsyncGenerator<readonly string[], void, undefined> {
  let keys: string[] = [];
  let run: string[] = [];
  let characters = 0;
  const write = async (key: string, sorted: AsyncIterable<readonly string[]>): Promise<string> => {
    await files.put(folder + key, asBytes(sorted));
    return folder + key;
  };
  async function* sortedRun(): AsyncGenerator<readonly string[]> {
    yield run.sort();
  }
  try {
    for await (const some of lines) {
      for (const line of some) {
        run.push(line);
        characters += line.length;
      }
      if (run.length < runLines && characters < runCharacters) continue;
      keys.push(await write(`0-${keys.length}`, sortedRun()));
      [run, characters] = [[], 0];
    }
    if (keys.length === 0) {
      if (run.length > 0) yield run.sort();
      return;
    }
    if (run.length > 0) keys.push(await write(`0-${keys.length}`, sortedRun()));
    for (let pass = 1; keys.length > fanIn; pass++) {
      const wider: string[] = [];
      for (let from = 0; from < keys.length; from += fanIn)
        wider.push(await write(`${pass}-${wider.length}`, mergeRuns(files, keys.slice(from, from + fanIn))));
      keys = wider;
    }
    yield* mergeRuns(files, keys);
  } finally {
    await files.deletePrefix(folder);
  }
}
