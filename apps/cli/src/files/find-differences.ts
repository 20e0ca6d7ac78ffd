import { createReadStream } from 'node:fs';
import { appendFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { hashText } from '@promptmill/core';
import { readLines } from '../api/read-lines.ts';
import { CliError } from '../cli-error.ts';
import type { KeyedAnswer } from './keyed-answer.ts';

/** How two files of results differ in a request. */
export interface Difference {
  readonly id: string;
  readonly change: 'changed' | 'added' | 'removed';
  /** The answer in the first file; null when it is only in the second. */
  readonly before: string | null;
  readonly after: string | null;
}

export interface DifferenceCounts {
  equal: number;
  changed: number;
  added: number;
  removed: number;
}

/** A line of a bucket: the record's number in its file, and what it holds. */
type Entry = KeyedAnswer & { readonly number: number };
type Found = Difference & { readonly number: number };

const bufferedChars = 64 * 1024;

/** Appends lines to several files, in blocks. */
const createLineFiles = (pathOf: (bucket: number) => string, count: number) => {
  const blocks = Array.from({ length: count }, () => '');
  const flush = async (bucket: number): Promise<void> => {
    const block = blocks[bucket] ?? '';
    blocks[bucket] = '';
    await appendFile(pathOf(bucket), block);
  };
  return {
    async add(bucket: number, value: unknown): Promise<void> {
      blocks[bucket] += `${JSON.stringify(value)}\n`;
      if ((blocks[bucket]?.length ?? 0) > bufferedChars) await flush(bucket);
    },
    async end(): Promise<void> {
      for (let bucket = 0; bucket < count; bucket++) await flush(bucket);
    },
  };
};

async function* readEntries<T>(path: string): AsyncGenerator<T, void, undefined> {
  for await (const line of readLines(createReadStream(path))) yield JSON.parse(line) as T;
}

const bucketOf = (id: string, count: number): number => hashText(id) % count;

/** Yields the lines of several files in the order of their numbers. Each file is in that order. */
async function* inOrder(paths: readonly string[]): AsyncGenerator<Found, void, undefined> {
  const sources = paths.map((path) => readEntries<Found>(path));
  const heads = await Promise.all(sources.map((source) => source.next()));
  for (;;) {
    let least = -1;
    let number = Number.POSITIVE_INFINITY;
    for (const [index, head] of heads.entries())
      if (!head.done && head.value.number < number) {
        least = index;
        ({ number } = head.value);
      }
    const head = heads[least];
    const source = sources[least];
    if (!head || head.done || !source) return;
    yield head.value;
    heads[least] = await source.next();
  }
}

export interface FindOptions {
  readonly before: AsyncIterable<KeyedAnswer>;
  readonly after: AsyncIterable<KeyedAnswer>;
  /** An empty folder for scratch files. */
  readonly folder: string;
  /** Into how many parts the files are divided; one of the first file's is in memory at a time. */
  readonly buckets: number;
}

const twice = ({ place, id }: KeyedAnswer, { place: first }: { readonly place: string }): CliError =>
  new CliError('input_invalid', `${place}: the id '${id}' is that of ${first} too`);

/**
 * Finds the requests whose answers differ between two files, whatever the order of each: by id, both files are divided
 * into buckets on disk, and one bucket after another is compared in memory.
 *
 * @returns in the order of the second file, then those that are only in the first, in its order.
 * @throws CliError `input_invalid` when an id comes twice in a file.
 */
export async function* findDifferences(
  { before, after, folder, buckets }: FindOptions,
  counts: DifferenceCounts,
): AsyncGenerator<Difference, void, undefined> {
  const path = (kind: 'before' | 'after' | 'found' | 'removed') => (bucket: number) =>
    join(folder, `${kind}-${bucket}.jsonl`);

  for (const [kind, answers] of [
    ['before', before],
    ['after', after],
  ] as const) {
    const files = createLineFiles(path(kind), buckets);
    let number = 0;
    for await (const answer of answers)
      await files.add(bucketOf(answer.id, buckets), { ...answer, number: number++ } satisfies Entry);
    await files.end();
  }

  for (let bucket = 0; bucket < buckets; bucket++) {
    const known = new Map<string, Entry>();
    for await (const entry of readEntries<Entry>(path('before')(bucket))) {
      const first = known.get(entry.id);
      if (first) throw twice(entry, first);
      known.set(entry.id, entry);
    }
    const seen = new Map<string, { readonly place: string }>();
    const found = createLineFiles(() => path('found')(bucket), 1);
    for await (const entry of readEntries<Entry>(path('after')(bucket))) {
      const { id, number, answer, place } = entry;
      const first = seen.get(id);
      if (first) throw twice(entry, first);
      seen.set(id, { place });
      const old = known.get(id);
      known.delete(id);
      if (old?.answer === answer) {
        counts.equal++;
        continue;
      }
      const change = old ? 'changed' : 'added';
      counts[change]++;
      await found.add(0, { id, change, before: old?.answer ?? null, after: answer, number } satisfies Found);
    }
    await found.end();
    counts.removed += known.size;
    const removed = [...known.values()].map(({ id, answer, number }): Found => ({
      id,
      change: 'removed',
      before: answer,
      after: null,
      number,
    }));
    await writeFile(path('removed')(bucket), removed.map((difference) => `${JSON.stringify(difference)}\n`).join(''));
  }

  for (const kind of ['found', 'removed'] as const) {
    const paths = Array.from({ length: buckets }, (_, bucket) => path(kind)(bucket));
    for await (const { number: _number, ...difference } of inOrder(paths)) yield difference;
  }
}
