import type { FileObject } from '@promptmill/core';
import type { ApiClient } from '../api/api-client.ts';
import { formatBytes } from '../parts/format.ts';

/** A link cannot send a key, so the page itself holds a file until the browser has saved it: up to this size. */
export const maxDownloadBytes = 512 * 2 ** 20;

/** What to do for a file that is too large for the page; undefined for any other. */
export const describeTooLarge = ({ id, bytes }: Pick<FileObject, 'id' | 'bytes'>, origin: string): string | undefined =>
  bytes <= maxDownloadBytes
    ? undefined
    : `${formatBytes(bytes)} is more than a page can save. Use: ` +
      `curl -H "Authorization: Bearer $PROMPTMILL_API_KEY" -OJ ${origin}/v1/files/${id}/content`;

/** Downloads a file with the key in a header, and gives it to the browser to save. */
export const downloadFile = async (
  client: ApiClient,
  { id, filename }: Pick<FileObject, 'id' | 'filename'>,
  signal?: AbortSignal,
): Promise<void> => {
  const response = await client.fileContent(id, signal);
  const url = URL.createObjectURL(await response.blob());
  const link = document.createElement('a');
  link.href = url;
  link.download = filename;
  link.click();
  // The browser reads it after the click.
  setTimeout(() => URL.revokeObjectURL(url), 60_000);
};
