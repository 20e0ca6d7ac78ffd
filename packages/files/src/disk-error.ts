import { FileStoreError } from './file-store.ts';
import type { FileStoreErrorCode } from './file-store.ts';

const storeCodes: Record<string, FileStoreErrorCode> = {
  ENOSPC: 'no_space',
  EDQUOT: 'no_space',
  EROFS: 'read_only',
  EACCES: 'read_only',
  // The key names a folder, or one of its folders is a file.
  EISDIR: 'invalid_key',
  ENOTDIR: 'invalid_key',
  EEXIST: 'invalid_key',
};

/** For `.catch` on calls to the disk: throws the error as a FileStoreError. */
export function throwStoreError(error: unknown): never {
  if (!(error instanceof Error)) throw error;
  const code = storeCodes[systemCode(error) ?? ''] ?? 'unavailable';
  throw new FileStoreError(code, error.message, { cause: error });
}

/** For `.catch` on calls to the disk: returns undefined when a file or folder is missing, and throws other errors. */
export function ignoreMissing(error: unknown): undefined {
  const code = systemCode(error);
  if (code !== 'ENOENT' && code !== 'ENOTDIR') throw error;
}

function systemCode(error: unknown): string | undefined {
  return error instanceof Error && 'code' in error && typeof error.code === 'string' ? error.code : undefined;
}
