import { newBatchId, newFileId } from '@promptmill/core';

/** What a batch's creation is made of; whoever has it can carry the creation on from any step. */
export interface Creation {
  readonly batchId: string;
  /** Of a file made from prompts. */
  readonly inputFileId: string;
  readonly outputFileId: string;
  readonly errorFileId: string;
  /** Unix seconds. */
  readonly createdAt: number;
}

export const newCreation = (nowMs: number): Creation => ({
  batchId: newBatchId(),
  inputFileId: newFileId(),
  outputFileId: newFileId(),
  errorFileId: newFileId(),
  createdAt: Math.floor(nowMs / 1000),
});
