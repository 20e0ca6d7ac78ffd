import { newBatchId, newFileId } from '@promptmill/core';

/** The ids and the time of a batch's creation. With them any process can carry the creation on from any step. */
export interface Creation {
  readonly batchId: string;
  /** The id of the input file, when it is made from prompts. */
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
