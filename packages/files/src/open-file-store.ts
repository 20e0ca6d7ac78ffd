import type { FileStoreLocation } from '@promptmill/core';
import { createDiskStore } from './disk-store.ts';
import type { FileStore } from './file-store.ts';

/** Opens a store without looking at it: what is wrong with it shows at its first use. */
export async function openFileStore(location: FileStoreLocation): Promise<FileStore> {
  if (location.kind === 'disk') return createDiskStore(location);
  // The AWS SDK takes time and memory to load, and who keeps files on a disk has no use for it.
  const { createS3Store } = await import('./s3-store.ts');
  return createS3Store(location);
}
