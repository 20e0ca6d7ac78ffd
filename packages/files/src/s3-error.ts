import { S3ServiceException } from '@aws-sdk/client-s3';
import { FileStoreError } from './file-store.ts';
import type { FileStoreErrorCode } from './file-store.ts';

/** https://docs.aws.amazon.com/AmazonS3/latest/API/ErrorResponses.html, and what compatible servers add. */
const storeCodes: Record<string, FileStoreErrorCode> = {
  AccessDenied: 'read_only',
  InsufficientStorage: 'no_space',
  QuotaExceeded: 'no_space',
  XMinioStorageFull: 'no_space',
};

const httpInsufficientStorage = 507;

/** Whether an error says that there is no such object or upload. A missing bucket does not count. */
export function isMissing(error: unknown): boolean {
  return error instanceof S3ServiceException && ['NoSuchKey', 'NotFound', 'NoSuchUpload'].includes(error.name);
}

/** Whether an error says that a range begins at the file's end or behind it. */
export function isUnsatisfiableRange(error: unknown): boolean {
  return error instanceof S3ServiceException && error.$metadata.httpStatusCode === 416;
}

/** For `.catch` on calls to S3: throws the error as a FileStoreError. */
export function throwStoreError(error: unknown): never {
  if (error instanceof FileStoreError || !(error instanceof Error)) throw error;
  if (!(error instanceof S3ServiceException))
    throw new FileStoreError('unavailable', error.message || error.name, { cause: error });
  const { httpStatusCode } = error.$metadata;
  const code = httpStatusCode === httpInsufficientStorage ? 'no_space' : (storeCodes[error.name] ?? 'unavailable');
  // No cause: the error of a refused signature contains the signed text and the key's id.
  throw new FileStoreError(code, `S3 answered ${httpStatusCode} ${error.name}: ${error.message}`);
}
