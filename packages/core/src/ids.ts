import { hash, randomBytes } from 'node:crypto';

const idPattern = /^(?:file-|batch_)[0-9a-f]{32}$/;

/** A new file id: `file-` and 128 random bits in hex. */
export const newFileId = (): string => `file-${randomBytes(16).toString('hex')}`;

/** A new batch id: `batch_` and 128 random bits in hex. */
export const newBatchId = (): string => `batch_${randomBytes(16).toString('hex')}`;

export const isFileId = (value: string): boolean => value.startsWith('file-') && idPattern.test(value);

export const isBatchId = (value: string): boolean => value.startsWith('batch_') && idPattern.test(value);

/**
 * The id in a request's result line (`batch_req_…`). It is derived from the batch's random id, so that recording or
 * finalizing a request twice writes the same bytes.
 */
export const requestIdOf = (batchId: string, index: number): string =>
  `batch_req_${hash('sha256', `${batchId}-${index}`).slice(0, 32)}`;

/** The BullMQ job id of a request, also the `Idempotency-Key` its provider sees. BullMQ forbids `:` in job ids. */
export const jobIdOf = (batchId: string, index: number): string => `${batchId}-${index}`;
