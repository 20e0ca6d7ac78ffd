import type { InputSummary } from './input-summary.ts';

/** What a file is: the input of batches, or a file that a batch made. */
export const filePurposes = ['batch', 'batch_output'] as const;

export type FilePurpose = (typeof filePurposes)[number];

/** The record of a stored file. Times are Unix seconds. */
export interface FileRecord {
  readonly id: string;
  readonly tenant: string;
  readonly filename: string;
  readonly purpose: FilePurpose;
  readonly bytes: number;
  readonly createdAt: number;
  readonly expiresAt?: number;
  /** What the upload found in an input file. Absent for a file that a batch made. */
  readonly summary?: InputSummary;
}

/** The key of a file in the file store. */
export const fileKey = (fileId: string): string => `files/${fileId}`;

/** The file object as the API shows it. Source: https://platform.openai.com/docs/api-reference/files/object */
export const toFileObject = (file: FileRecord) => ({
  id: file.id,
  object: 'file' as const,
  bytes: file.bytes,
  created_at: file.createdAt,
  ...(file.expiresAt === undefined ? {} : { expires_at: file.expiresAt }),
  filename: file.filename,
  purpose: file.purpose,
  status: 'processed' as const,
  status_details: null,
});

export type FileObject = ReturnType<typeof toFileObject>;
