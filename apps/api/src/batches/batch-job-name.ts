import type { Batch, FileRecord } from '@promptmill/core';
import { plural } from '@promptmill/core/display';

const maxNameLength = 100;

/**
 * The name of a batch's job on Bull Board, such as `prompts.jsonl · 200 requests`: what its owner calls it in its
 * metadata, else its file. The batch's id when no more is known.
 */
export const batchJobName = (
  { id, metadata }: Pick<Batch, 'id' | 'metadata'>,
  input: Pick<FileRecord, 'filename' | 'summary'> | undefined,
): string => {
  const name = metadata?.['name'] ?? metadata?.['description'] ?? input?.filename;
  if (name === undefined) return id;
  const shown = name.slice(0, maxNameLength);
  return input?.summary ? `${shown} · ${plural(input.summary.requests, 'request')}` : shown;
};
