import type OpenAI from 'openai';

/** A file's record. Its bytes are in the store under {@link contentKey}. */
export interface StoredFile {
  readonly id: string;
  readonly createdAtMs: number;
  readonly bytes: number;
  readonly filename: string;
  readonly purpose: 'batch' | 'batch_output';
  readonly expiresAtMs?: number;
}

export function contentKey(fileId: string): string {
  return `contents/${fileId}`;
}

/** Source: https://developers.openai.com/api/docs/api-reference/files/object */
export function toFileObject(file: StoredFile): OpenAI.FileObject {
  return {
    id: file.id,
    object: 'file',
    bytes: file.bytes,
    created_at: Math.floor(file.createdAtMs / 1000),
    ...(file.expiresAtMs !== undefined && { expires_at: Math.floor(file.expiresAtMs / 1000) }),
    filename: file.filename,
    purpose: file.purpose,
    status: 'processed',
  };
}
