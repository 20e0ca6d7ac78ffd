import { type FilePurpose, type FileRecord, toFileObject } from './file.ts';

/** How long parts may be added and the upload completed, as at OpenAI. */
export const uploadLastsSeconds = 3600;

/** What the client says of a file that it uploads in parts. Times are Unix seconds. */
export interface NewUpload {
  readonly id: string;
  readonly tenant: string;
  readonly filename: string;
  readonly purpose: FilePurpose;
  readonly mimeType: string;
  /** Of the whole file. */
  readonly bytes: number;
  readonly createdAt: number;
  readonly expiresAt: number;
  /** How long the file is kept. */
  readonly fileExpiresAfterSeconds: number;
}

/** The last try to make the file of an upload's parts. */
export interface Completion {
  /** The file that it makes. */
  readonly fileId: string;
  /** Tells one list of parts from another. */
  readonly partsHash: string;
}

export interface Upload extends NewUpload {
  /** An upload that has expired is pending too. */
  readonly status: 'pending' | 'completed' | 'cancelled';
  readonly completion?: Completion;
  /** Until when that try counts as under way, in milliseconds. A process that is at it moves this on. */
  readonly busyUntilMs: number;
  /** The MD5 of a list of parts that was not what the client expected. */
  readonly refused?: { readonly partsHash: string; readonly md5: string };
}

/** The folder of an upload's parts in the file store. */
export const uploadFolder = (uploadId: string): string => `uploads/${uploadId}/`;

export const partKey = (uploadId: string, partId: string): string => `${uploadFolder(uploadId)}${partId}`;

/** Whether an upload has expired without being completed or cancelled. A completion that is under way may end. */
export const hasExpired = ({ status, expiresAt }: Upload, nowMs: number): boolean =>
  status === 'pending' && nowMs >= expiresAt * 1000;

/**
 * The upload as the API shows it. Source: https://platform.openai.com/docs/api-reference/uploads/object
 *
 * @param file the file that a completed upload made, unless it was deleted
 */
export const toUploadObject = (upload: Upload, nowMs: number, file?: FileRecord) => ({
  id: upload.id,
  object: 'upload' as const,
  bytes: upload.bytes,
  created_at: upload.createdAt,
  expires_at: upload.expiresAt,
  filename: upload.filename,
  purpose: upload.purpose,
  status: hasExpired(upload, nowMs) ? ('expired' as const) : upload.status,
  file: file ? toFileObject(file) : null,
});
