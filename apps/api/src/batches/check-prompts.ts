import { setImmediate } from 'node:timers/promises';
import { ApiError, isJsonObject, type Prompt, promptToLine } from '@promptmill/core';
import { badRequest } from '../request-problem.ts';
import { prompt as promptSchema, type PromptBatch } from './create-batch-schemas.ts';

/** The largest input file made from prompts. `system` and `params` are in each of its lines. */
const maxPromptFileBytes = 64 * 2 ** 20;
/** After so many bytes of lines, others have their turn. */
const bytesAtOnce = 256 * 1024;
/** The fields of a prompt. One with very many others is refused before they are looked at. */
const maxFields = 3;

const parsePrompt = (value: unknown): string | Prompt | undefined =>
  isJsonObject(value) && Object.keys(value).length > maxFields ? undefined : promptSchema.safeParse(value).data;

const checkPrompt = (value: unknown, i: number, model: string | undefined): string | Prompt => {
  const prompt = parsePrompt(value);
  if (prompt === undefined) {
    const message =
      `Invalid 'prompts[${i}]': expected a string, or an object with either prompt or messages; ` +
      'a custom_id may have 512 characters, a model 256.';
    throw badRequest({ message, code: 'invalid_value', param: `prompts[${i}]` });
  }
  if (model === undefined && (typeof prompt === 'string' || prompt.model === undefined)) {
    const message = `Missing required parameter: 'model'. Neither the batch nor prompts[${i}] names one.`;
    throw badRequest({ message, code: 'missing_required_parameter', param: 'model' });
  }
  return prompt;
};

/**
 * Checks all prompts of a batch, and how large an input file they make, before any of it is stored. Throws a 400 for the
 * first value that is no prompt, and a 413 with the size for a file that is too large.
 */
export const checkPrompts = async (
  { prompts, model, system, params }: PromptBatch,
  maxBytes = maxPromptFileBytes,
): Promise<void> => {
  const bytesOf = (prompt: string | Prompt, number: number, defaults: Partial<PromptBatch>): number =>
    Buffer.byteLength(promptToLine(prompt, number, defaults)) + 1;
  const repeatedBytes = bytesOf('', 1, { model, system, params }) - bytesOf('', 1, { model });
  let bytes = 0;
  let pauseAt = bytesAtOnce;
  for (const [i, value] of prompts.entries()) {
    bytes += bytesOf(checkPrompt(value, i, model), i + 1, { model }) + repeatedBytes;
    if (bytes < pauseAt) continue;
    pauseAt = bytes + bytesAtOnce;
    await setImmediate();
  }
  if (bytes <= maxBytes) return;
  const message =
    `The prompts would make an input file of ${bytes} bytes, since 'system' and 'params' are in each line; it may have ` +
    `${maxBytes}. Upload a file instead (POST /v1/files).`;
  throw new ApiError(413, message, { code: 'request_too_large', param: 'prompts' });
};
