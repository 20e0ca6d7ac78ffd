import { fileKey, readCheckedLine, type RequestLine } from '@promptmill/core';
import { type FileStore, readInput } from '@promptmill/files';
import type { PromptBatch } from '../batches/create-batch-schemas.ts';
import { promptLines } from '../batches/prompt-lines.ts';

/** Of an input file up to this size all lines are taken; of a larger one, those of some places spread over it. */
const wholeBytes = 1024 * 1024;
const places = 32;
const bytesOfPlace = wholeBytes / places;
/** A longer line is left out. */
const maxLineBytes = 256 * 1024;

const linesFrom = async function* (
  files: FileStore,
  key: string,
  start: number,
  end: number,
): AsyncGenerator<RequestLine[]> {
  // The last line that begins before the end is read as a whole.
  const source = await files.get(key, { start, end: end + maxLineBytes });
  for await (const lines of readInput(source, readCheckedLine, { maxLineBytes, startOffset: start })) {
    const inside = lines.filter(({ offset }) => offset < end);
    // A place begins in the middle of a line, as a rule, which is then no request.
    yield inside.flatMap((line) => (line.oversize || !line.parsed ? [] : [line.parsed]));
    if (inside.length < lines.length) return;
  }
};

/** Requests of a checked input file: all of them when it is small, else some that stand for the others. */
export async function* sampleFile(files: FileStore, id: string, bytes: number): AsyncGenerator<RequestLine[]> {
  const key = fileKey(id);
  if (bytes <= wholeBytes) {
    yield* linesFrom(files, key, 0, bytes);
    return;
  }
  for (let place = 0; place < places; place++) {
    const start = Math.floor((place * (bytes - bytesOfPlace)) / (places - 1));
    yield* linesFrom(files, key, start, start + bytesOfPlace);
  }
}

/** Most prompts that are measured. */
const maxPrompts = 5000;

/** Requests that inline prompts make, which have been checked: all of them when there are few, else some. */
export async function* samplePrompts(batch: PromptBatch): AsyncGenerator<RequestLine[]> {
  const step = Math.ceil(batch.prompts.length / maxPrompts);
  const prompts = batch.prompts.filter((_, i) => i % step === 0);
  for await (const lines of readInput(promptLines({ ...batch, prompts }), readCheckedLine)) {
    yield lines.flatMap((line) => (line.oversize || !line.parsed ? [] : [line.parsed]));
    if ((lines.at(-1)?.nextOffset ?? 0) > wholeBytes) return;
  }
}
