import { newBatchId, newFileId } from '@promptmill/core';
import type { NewBatch } from '../src/index.ts';

export const createdAt = 1_795_000_000;

/** What a batch is created with, new ids and all. */
export const newBatch = (more: Partial<NewBatch> = {}): NewBatch => ({
  id: newBatchId(),
  tenant: 'acme',
  endpoint: '/v1/chat/completions',
  inputFileId: newFileId(),
  completionWindow: '24h',
  metadata: { run: '7' },
  outputFileId: newFileId(),
  errorFileId: newFileId(),
  createdAt,
  expiresAt: createdAt + 86_400,
  ...more,
});
