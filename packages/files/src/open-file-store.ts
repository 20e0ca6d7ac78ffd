import type { FileStoreLocation } from '@promptmill/core';
import { createDiskStore } from './disk-store.ts';
import type { FileStore } from './file-store.ts';
import { makePrivate } from './folder.ts';

/**
 * Opens a store without checking it: the first use shows what is wrong with it. A folder that others may enter, as an
 * earlier version made it, is closed to them.
 */
export async function openFileStore(location: FileStoreLocation): Promise<FileStore> {
  if (location.kind === 'disk') {
    await makePrivate(location.directory).catch(() => {});
    return createDiskStore(location);
  }
  // Loading the AWS SDK takes time and memory, and a store on a disk does not need it.
  const { createS3Store } = await import('./s3-store.ts');
  return createS3Store(location);
}
