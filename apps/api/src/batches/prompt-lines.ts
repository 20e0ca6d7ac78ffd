import { type Prompt, promptToLine } from '@promptmill/core';
import type { PromptBatch } from './create-batch-schemas.ts';

const chunkCharacters = 64 * 1024;

/** The input lines of a batch's prompts, which have been checked. */
export async function* promptLines({ prompts, model, system, params }: PromptBatch): AsyncGenerator<Uint8Array> {
  let chunk = '';
  for (const [i, prompt] of prompts.entries()) {
    chunk += `${promptToLine(prompt as string | Prompt, i + 1, { model, system, params })}\n`;
    if (chunk.length < chunkCharacters) continue;
    yield Buffer.from(chunk);
    chunk = '';
  }
  if (chunk !== '') yield Buffer.from(chunk);
}
