import type { FileObject } from '@promptmill/core';
import type { ApiClient } from '../api/api-client.ts';

/** An upload that has begun. It is kept for the tab, so that it can go on after a reload. */
export interface PartialUpload {
  readonly id: string;
  readonly name: string;
  /** Of the whole file. */
  readonly bytes: number;
  readonly lastModified: number;
  readonly partBytes: number;
  /** The parts that are on the server, from the first on. */
  readonly partIds: readonly string[];
}

const leastPartBytes = 4 * 2 ** 20;
/** What the API takes. */
const maxParts = 10_000;

/** How large the parts of a file are: small enough to see it go on, and not too many. */
export const partBytesOf = (bytes: number): number => Math.max(leastPartBytes, Math.ceil(bytes / maxParts));

export const sentBytesOf = ({ bytes, partBytes, partIds }: PartialUpload): number =>
  Math.min(bytes, partBytes * partIds.length);

/** Whether a file is the one of which an upload has begun, as far as a browser tells. */
export const isOfFile = (upload: PartialUpload, file: Pick<File, 'name' | 'size' | 'lastModified'>): boolean =>
  upload.name === file.name && upload.bytes === file.size && upload.lastModified === file.lastModified;

export interface UploadInParts {
  readonly client: Pick<ApiClient, 'createUpload' | 'addPart' | 'completeUpload'>;
  readonly file: File;
  /** The upload that goes on. Default: a new one begins. */
  readonly upload: PartialUpload | undefined;
  /** Is told each time more is on the server. */
  readonly onUpload: (upload: PartialUpload) => void;
  readonly signal: AbortSignal;
}

/** Sends a file part by part, from the first part on that is not on the server yet. */
export const uploadInParts = async (options: UploadInParts): Promise<FileObject> => {
  const { client, file, onUpload, signal } = options;
  const begin = async (): Promise<PartialUpload> => {
    const { name, size: bytes, lastModified } = file;
    const { id } = await client.createUpload(name, bytes, signal);
    return { id, name, bytes, lastModified, partBytes: partBytesOf(bytes), partIds: [] };
  };
  const upload = options.upload ?? (await begin());
  onUpload(upload);
  const partIds = [...upload.partIds];
  for (let start = sentBytesOf(upload); start < file.size; start += upload.partBytes) {
    const { id } = await client.addPart(upload.id, file.slice(start, start + upload.partBytes), signal);
    partIds.push(id);
    onUpload({ ...upload, partIds });
  }
  return (await client.completeUpload(upload.id, partIds, signal)).file;
};
