import { randomBytes } from 'node:crypto';
import { type Batch, scratchFolder } from '@promptmill/core';
import { type FileStore, FileStoreError, readInput, sortLines } from '@promptmill/files';

/** A request that may repeat another, or be repeated. */
export interface Question {
  readonly hash: string;
  readonly index: number;
  readonly customId: string;
}

/** A request that repeats an earlier one. */
export interface Repeat {
  /** The index of the first request that asks the same. */
  readonly first: number;
  readonly index: number;
  readonly customId: string;
}

export interface FoundRepeats {
  /** The name of their list, in the batch's scratch folder. */
  readonly list: string;
  /** One bit for each request, in Redis's bit order. */
  readonly bits: Buffer;
  readonly count: number;
}

const listKey = (batchId: string, list: string): string => `${scratchFolder(batchId)}${list}`;

/** So wide that text sorts as its number does. */
const indexWidth = 10;
const padded = (index: number): string => String(index).padStart(indexWidth, '0');

async function* asLines(questions: AsyncIterable<readonly Question[]>): AsyncGenerator<readonly string[]> {
  for await (const some of questions)
    yield some.map(({ hash, index, customId }) => `${hash} ${padded(index)} ${JSON.stringify(customId)}`);
}

async function* asBytes(lines: AsyncIterable<readonly string[]>): AsyncGenerator<Buffer> {
  for await (const some of lines) if (some.length > 0) yield Buffer.from(`${some.join('\n')}\n`);
}

const readRepeat = (text: string): Repeat => ({
  first: Number(text.slice(0, indexWidth)),
  index: Number(text.slice(indexWidth + 1, 2 * indexWidth + 1)),
  customId: JSON.parse(text.slice(2 * indexWidth + 2)) as string,
});

/**
 * Finds the requests of a batch that repeat earlier ones, and lists them in the store by their firsts. Its memory does not
 * grow with the batch, but for a bit a request: the questions are sorted by their hashes in the store.
 */
export const findRepeats = async (
  files: FileStore,
  { id, total }: Pick<Batch, 'id' | 'total'>,
  questions: AsyncIterable<readonly Question[]>,
): Promise<FoundRepeats> => {
  // Another process may do the same.
  const unique = randomBytes(6).toString('hex');
  const folder = `${scratchFolder(id)}${unique}/`;
  const list = `repeats-${unique}`;
  const bits = Buffer.alloc(Math.ceil(total / 8));
  let count = 0;
  async function* repeats(): AsyncGenerator<readonly string[]> {
    let hash = '';
    let first = '';
    for await (const lines of sortLines(files, `${folder}questions/`, asLines(questions))) {
      const found: string[] = [];
      for (const line of lines) {
        const end = line.indexOf(' ');
        const index = line.slice(end + 1, end + 1 + indexWidth);
        if (line.slice(0, end) !== hash) {
          [hash, first] = [line.slice(0, end), index];
          continue;
        }
        found.push(`${first} ${line.slice(end + 1)}`);
        const at = Number(index);
        bits[at >> 3] = (bits[at >> 3] ?? 0) | (0x80 >> (at & 7));
        count++;
      }
      yield found;
    }
  }
  await files.put(listKey(id, list), asBytes(sortLines(files, `${folder}firsts/`, repeats())));
  return { list, bits, count };
};

/**
 * The repeats that {@link findRepeats} has found, by their firsts and then by index. Undefined when there is no list of them:
 * who finalizes a batch removes it.
 */
export const openRepeats = async (
  files: FileStore,
  batchId: string,
  list: string,
): Promise<AsyncGenerator<Repeat, void, undefined> | undefined> => {
  const source = await files.get(listKey(batchId, list)).catch((error: unknown) => {
    if (error instanceof FileStoreError && error.code === 'not_found') return undefined;
    throw error;
  });
  async function* read(bytes: AsyncIterable<Buffer>): AsyncGenerator<Repeat, void, undefined> {
    for await (const lines of readInput(bytes, readRepeat))
      for (const line of lines) if (!line.oversize) yield line.parsed;
  }
  return source && read(source);
};
