import type { FileRecord } from '@promptmill/core';

const maxNameLength = 100;

/** The name of a batch's job on Bull Board, such as `prompts.jsonl · 200 requests`; the batch's id when no more is known. */
export const batchJobName = (batchId: string, input: Pick<FileRecord, 'filename' | 'summary'> | undefined): string => {
  if (!input?.summary) return batchId;
  const { requests } = input.summary;
  return `${input.filename.slice(0, maxNameLength)} · ${requests} ${requests === 1 ? 'request' : 'requests'}`;
};
