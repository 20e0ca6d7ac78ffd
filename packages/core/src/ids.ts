import { randomBytes, randomUUID } from 'node:crypto';

const idPattern = /^(?:file-|batch_|upload_|part_|resp_)[0-9a-f]{32}$/;

/** A new file id: `file-` and 128 random bits in hex. */
export const newFileId = (): string => `file-${randomBytes(16).toString('hex')}`;

/** A new batch id: `batch_` and 128 random bits in hex. */
export const newBatchId = (): string => `batch_${randomBytes(16).toString('hex')}`;

/** A new id of an upload in parts: `upload_` and 128 random bits in hex. */
export const newUploadId = (): string => `upload_${randomBytes(16).toString('hex')}`;

/** A new id of a part of an upload: `part_` and 128 random bits in hex. */
export const newPartId = (): string => `part_${randomBytes(16).toString('hex')}`;

/** A new live call's id: `live_` and 122 random bits in hex. It takes less processor time than the others. */
export const newLiveCallId = (): string => `live_${randomUUID().replaceAll('-', '')}`;

/** A new background response's id: `resp_` and 128 random bits in hex. */
export const newResponseId = (): string => `resp_${randomBytes(16).toString('hex')}`;

export const isFileId = (value: string): boolean => value.startsWith('file-') && idPattern.test(value);

export const isBatchId = (value: string): boolean => value.startsWith('batch_') && idPattern.test(value);

export const isUploadId = (value: string): boolean => value.startsWith('upload_') && idPattern.test(value);

export const isPartId = (value: string): boolean => value.startsWith('part_') && idPattern.test(value);
export const isResponseId = (value: string): boolean => value.startsWith('resp_') && idPattern.test(value);

/**
 * The id in a request's result line: `batch_req_`, the batch's random bits and the request's index. Recording or
 * finalizing a request twice writes the same bytes.
 */
export const requestIdOf = (batchId: string, index: number): string =>
  `batch_req_${batchId.slice('batch_'.length)}_${index}`;

/** The index in an id that {@link requestIdOf} made; undefined for any other text. */
export const indexOfRequestId = (id: string): number | undefined => {
  const index = /^batch_req_[0-9a-f]{32}_(\d+)$/.exec(id)?.[1];
  return index === undefined ? undefined : Number(index);
};

/** The BullMQ job id of a request, also the `Idempotency-Key` its provider sees. BullMQ forbids `:` in job ids. */
export const jobIdOf = (batchId: string, index: number): string => `${batchId}-${index}`;

/** The batch and the index in a request id of {@link requestIdOf}; undefined when the text is none. */
export const parseRequestId = (id: string): { readonly batchId: string; readonly index: number } | undefined => {
  const match = /^batch_req_([0-9a-f]+)_(\d+)$/.exec(id);
  return match ? { batchId: `batch_${match[1]}`, index: Number(match[2]) } : undefined;
};
