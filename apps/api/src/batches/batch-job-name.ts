import type { FileRecord } from '@promptmill/core';

const maxNameLength = 100;

/** What a person knows a batch's job by on Bull Board: `prompts.jsonl · 200 requests`, or its id while no more is known. */
export const batchJobName = (batchId: string, input: Pick<FileRecord, 'filename' | 'summary'> | undefined): string => {
  if (!input?.summary) return batchId;
  const { requests } = input.summary;
  return `${input.filename.slice(0, maxNameLength)} · ${requests} ${requests === 1 ? 'request' : 'requests'}`;
};
