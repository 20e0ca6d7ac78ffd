import { DeleteObjectCommand, DeleteObjectsCommand, S3ServiceException } from '@aws-sdk/client-s3';
import type { S3Client } from '@aws-sdk/client-s3';
import { FileStoreError } from './file-store.ts';

const maxKeysPerRequest = 1000;
const singlesAtOnce = 16;
/** Errors of servers that have no DeleteObjects, or want another form of its checksum. */
const refusals = new Set([400, 404, 405, 411, 501]);

/** Deletes objects: a thousand with each request if the server can, else one by one. A missing object is no error. */
export function createDeleteKeys(client: S3Client, Bucket: string): (keys: string[]) => Promise<void> {
  let inBatches = true;

  const deleteBatch = async (keys: string[]): Promise<boolean> => {
    try {
      const { Errors: [first] = [] } = await client.send(
        new DeleteObjectsCommand({ Bucket, Delete: { Objects: keys.map((Key) => ({ Key })), Quiet: true } }),
      );
      if (first) throw new FileStoreError('unavailable', `S3 cannot delete: ${first.Code}: ${first.Message}`);
      return true;
    } catch (error) {
      if (error instanceof S3ServiceException && refusals.has(error.$metadata.httpStatusCode ?? 0)) return false;
      throw error;
    }
  };

  return async (keys) => {
    for (let at = 0; inBatches && at < keys.length; at += maxKeysPerRequest)
      inBatches = await deleteBatch(keys.slice(at, at + maxKeysPerRequest));
    if (inBatches) return;
    for (let at = 0; at < keys.length; at += singlesAtOnce)
      await Promise.all(
        keys.slice(at, at + singlesAtOnce).map((Key) => client.send(new DeleteObjectCommand({ Bucket, Key }))),
      );
  };
}
