import { promptToLine } from '@promptmill/core';
import { badRequest } from '../request-problem.ts';
import { prompt as promptSchema, type PromptBatch } from './batch-schemas.ts';

const chunkCharacters = 64 * 1024;

/** The input lines of a batch's prompts. Throws a 400 for the first value that is no prompt. */
export async function* promptLines({ prompts, model, system, params }: PromptBatch): AsyncGenerator<Uint8Array> {
  let chunk = '';
  for (const [i, value] of prompts.entries()) {
    const { success, data: prompt } = promptSchema.safeParse(value);
    if (!success) {
      const message = `Invalid 'prompts[${i}]': expected a string, or an object with either prompt or messages.`;
      throw badRequest({ message, code: 'invalid_value', param: `prompts[${i}]` });
    }
    if (model === undefined && (typeof prompt === 'string' || prompt.model === undefined)) {
      const message = `Missing required parameter: 'model'. Neither the batch nor prompts[${i}] names one.`;
      throw badRequest({ message, code: 'missing_required_parameter', param: 'model' });
    }
    chunk += `${promptToLine(prompt, i + 1, { model, system, params })}\n`;
    if (chunk.length < chunkCharacters) continue;
    yield Buffer.from(chunk);
    chunk = '';
  }
  if (chunk !== '') yield Buffer.from(chunk);
}
