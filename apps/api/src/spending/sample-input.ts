import { fileKey, readCheckedLine, type RequestLine } from '@promptmill/core';
import { type FileStore, readInput, sampleInput } from '@promptmill/files';
import type { PromptBatch } from '../batches/create-batch-schemas.ts';
import { promptLines } from '../batches/prompt-lines.ts';

/** A longer line is left out. */
const maxLineBytes = 256 * 1024;

/** Requests of a checked input file: all of them when it is small, else some that stand for the others. */
export const sampleFile = (files: FileStore, id: string, bytes: number): AsyncGenerator<RequestLine[]> =>
  sampleInput({ read: (range) => files.get(fileKey(id), range), bytes, maxLineBytes, parse: readCheckedLine });

/** Most prompts that are measured, and most bytes of their lines. */
const maxPrompts = 5000;
const maxBytes = 1024 * 1024;

/** Requests that inline prompts make, which have been checked: all of them when there are few, else some. */
export async function* samplePrompts(batch: PromptBatch): AsyncGenerator<RequestLine[]> {
  const step = Math.ceil(batch.prompts.length / maxPrompts);
  const prompts = batch.prompts.filter((_, i) => i % step === 0);
  for await (const lines of readInput(promptLines({ ...batch, prompts }), readCheckedLine)) {
    yield lines.flatMap((line) => (line.oversize || !line.parsed ? [] : [line.parsed]));
    if ((lines.at(-1)?.nextOffset ?? 0) > maxBytes) return;
  }
}
