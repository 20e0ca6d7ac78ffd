import { readFile, stat } from 'node:fs/promises';
import { resolve } from 'node:path';
import type { ImageUrl } from '@promptmill/files';

const mediaTypes: readonly (readonly [magic: RegExp, mediaType: string])[] = [
  [/^\x89PNG\r\n/, 'image/png'],
  [/^\xff\xd8\xff/, 'image/jpeg'],
  [/^GIF8[79]a/, 'image/gif'],
  [/^RIFF....WEBP/s, 'image/webp'],
];

export interface ImageOptions {
  /** The folder that a relative path starts from. */
  readonly folder: string;
  /** A larger image is a problem. */
  readonly maxBytes: number;
  /** Gets the bytes of each image that is read. */
  readonly onRead: (bytes: Buffer) => void;
}

/** The URL of an image: a URL as it stands, a file as a data URL. */
export const imageUrl = async (value: string, { folder, maxBytes, onRead }: ImageOptions): Promise<ImageUrl> => {
  if (/^(https?|data):/i.test(value)) return { url: value };
  const path = resolve(folder, value);
  try {
    if ((await stat(path)).size > maxBytes) return { problem: `the image ${value} has more than ${maxBytes} bytes` };
    const bytes = await readFile(path);
    const head = bytes.toString('latin1', 0, 12);
    const mediaType = mediaTypes.find(([magic]) => magic.test(head))?.[1];
    if (mediaType === undefined) return { problem: `${value} is no PNG, JPEG, GIF or WebP image` };
    onRead(bytes);
    return { url: `data:${mediaType};base64,${bytes.toString('base64')}` };
  } catch (error) {
    return { problem: `cannot read the image ${value}: ${(error as NodeJS.ErrnoException).code}` };
  }
};
