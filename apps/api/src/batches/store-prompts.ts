import { type FileRecord, promptToLine } from '@promptmill/core';
import type { ApiDependencies } from '../dependencies.ts';
import { inputExpiresAfterSeconds } from '../files/upload-file.ts';
import { badRequest } from '../request-problem.ts';
import { prompt as promptSchema, type PromptBatch } from './batch-schemas.ts';

const chunkCharacters = 64 * 1024;

/** The input lines of a batch's prompts. Throws the 400 of the first prompt that is none. */
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

export interface PromptFile {
  readonly fileId: string;
  readonly tenant: string;
  /** Unix seconds. */
  readonly createdAt: number;
}

/** Makes a batch's prompts an input file like any other. Doing so again writes the same. */
export const createStorePrompts =
  ({ records, receiveInput }: Pick<ApiDependencies, 'records' | 'receiveInput'>) =>
  async (body: PromptBatch, { fileId, tenant, createdAt }: PromptFile): Promise<void> => {
    const { bytes, summary } = await receiveInput({ fileId, source: promptLines(body) });
    const record: FileRecord = {
      id: fileId,
      tenant,
      filename: 'prompts.jsonl',
      purpose: 'batch',
      bytes,
      createdAt,
      expiresAt: createdAt + inputExpiresAfterSeconds,
      summary,
    };
    await records.put(record);
  };
