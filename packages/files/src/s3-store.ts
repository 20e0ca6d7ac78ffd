import { Readable } from 'node:stream';
import {
  DeleteObjectCommand,
  GetObjectCommand,
  HeadObjectCommand,
  paginateListObjectsV2,
  PutObjectCommand,
  S3Client,
} from '@aws-sdk/client-s3';
import { Upload } from '@aws-sdk/lib-storage';
import type { S3Location } from '@promptmill/core';
import { copySource } from './copy-source.ts';
import { assertKey, assertPrefix, assertRange, FileStoreError, isKey } from './file-store.ts';
import type { FileStore } from './file-store.ts';
import { abortAbandonedUploads } from './s3-abandoned-uploads.ts';
import { createDeleteKeys } from './s3-delete-keys.ts';
import { isMissing, isUnsatisfiableRange, throwStoreError } from './s3-error.ts';
import { resumingBody } from './s3-resuming-body.ts';

export interface S3StoreOptions extends Omit<S3Location, 'kind'> {
  /** Milliseconds since the epoch; default `Date.now`. */
  readonly now?: () => number;
}

/** S3 allows 10,000 parts, so a streamed file may have up to 78 GiB. A part must have at least 5 MiB. */
const partBytes = 8 * 1024 * 1024;
/** How many parts of one file are uploaded at once, each held in memory. */
const partsAtOnce = 2;

const connectTimeoutMs = 5000;
/** Longest time from a request to its answer's headers. */
const answerTimeoutMs = 60_000;
/** Longest time in which no byte moves on a connection. A slowly read file is then opened again at the same byte. */
const idleTimeoutMs = 60_000;

/**
 * A store in a bucket of any S3-compatible server. Each file is an object named `prefix` and its key. A stream that is
 * larger than a part becomes a multipart upload, so nothing of it is visible before its last byte.
 *
 * The AWS SDK finds the credentials by its own chain: `AWS_ACCESS_KEY_ID` and `AWS_SECRET_ACCESS_KEY`, a profile, the
 * role of the container or machine. They need s3:GetObject, PutObject, DeleteObject, AbortMultipartUpload,
 * ListMultipartUploadParts, and on the bucket ListBucket and ListBucketMultipartUploads.
 */
export function createS3Store(options: S3StoreOptions): FileStore {
  const { bucket: Bucket, prefix: root, endpoint, region, forcePathStyle, now = Date.now } = options;
  const client = new S3Client({
    region,
    forcePathStyle,
    ...(endpoint !== undefined && { endpoint }),
    retryMode: 'standard',
    maxAttempts: 4,
    // Some compatible servers do not know the checksums of AWS.
    requestChecksumCalculation: 'WHEN_REQUIRED',
    responseChecksumValidation: 'WHEN_REQUIRED',
    requestHandler: {
      connectionTimeout: connectTimeoutMs,
      requestTimeout: answerTimeoutMs,
      throwOnRequestTimeout: true,
      socketTimeout: idleTimeoutMs,
      // A merge holds over a hundred files open. With a limit its writes would wait for ever for one of these to end.
      httpAgent: { keepAlive: true, maxSockets: Infinity },
      httpsAgent: { keepAlive: true, maxSockets: Infinity },
    },
  });
  const objectOf = (key: string) => ({ Bucket, Key: root + key });
  const deleteKeys = createDeleteKeys(client, Bucket);

  const sizeOf = async (key: string): Promise<number | undefined> => {
    try {
      const { ContentLength } = await client.send(new HeadObjectCommand(objectOf(key)));
      return ContentLength ?? 0;
    } catch (error) {
      if (isMissing(error)) return undefined;
      return throwStoreError(error);
    }
  };

  const listObjects = (prefix: string) => paginateListObjectsV2({ client }, { Bucket, Prefix: root + prefix });

  return {
    async put(key, source, { signal } = {}) {
      assertKey(key);
      signal?.throwIfAborted();
      if (typeof source === 'string' || source instanceof Uint8Array) {
        const Body = typeof source === 'string' ? Buffer.from(source) : source;
        await client.send(new PutObjectCommand({ ...objectOf(key), Body })).catch(throwStoreError);
        return { bytes: Body.length };
      }
      const copied = copySource(source, signal);
      const upload = new Upload({
        client,
        params: { ...objectOf(key), Body: Readable.from(copied.chunks, { objectMode: false }) },
        partSize: partBytes,
        queueSize: partsAtOnce,
      });
      try {
        await upload.done();
      } catch (error) {
        const failure = copied.failure();
        throw failure ? failure.reason : throwStoreError(error);
      }
      return { bytes: copied.bytes() };
    },

    async get(key, range = {}) {
      assertKey(key);
      assertRange(range);
      const { start = 0, end } = range;
      const open = async (from: number, to: number | undefined) =>
        client.send(
          new GetObjectCommand({
            ...objectOf(key),
            ...((from > 0 || to !== undefined) && { Range: `bytes=${from}-${to === undefined ? '' : to - 1}` }),
          }),
        );
      const notFound = () => new FileStoreError('not_found', `no such file: ${key}`);
      if (start === end) {
        if ((await sizeOf(key)) === undefined) throw notFound();
        return Readable.from([]);
      }
      try {
        return resumingBody(await open(start, end), start, open);
      } catch (error) {
        if (isUnsatisfiableRange(error)) return Readable.from([]);
        if (isMissing(error)) throw notFound();
        return throwStoreError(error);
      }
    },

    async size(key) {
      assertKey(key);
      return sizeOf(key);
    },

    async delete(key) {
      assertKey(key);
      if ((await sizeOf(key)) === undefined) return false;
      await client.send(new DeleteObjectCommand(objectOf(key))).catch(throwStoreError);
      return true;
    },

    async deletePrefix(prefix) {
      assertPrefix(prefix);
      if (prefix === '') throw new FileStoreError('invalid_key', 'the prefix to delete is empty');
      try {
        for await (const { Contents = [] } of listObjects(prefix))
          await deleteKeys(Contents.flatMap(({ Key }) => Key ?? []));
      } catch (error) {
        throwStoreError(error);
      }
    },

    async *list(prefix) {
      assertPrefix(prefix);
      try {
        for await (const { Contents = [] } of listObjects(prefix))
          for (const { Key = '', Size = 0 } of Contents) {
            const key = Key.slice(root.length);
            // S3 consoles create empty objects as folders.
            if (isKey(key)) yield { key, bytes: Size };
          }
      } catch (error) {
        throwStoreError(error);
      }
    },

    async removeAbandoned(olderThanMs) {
      return await abortAbandonedUploads(client, Bucket, root, now() - olderThanMs).catch(throwStoreError);
    },
  };
}
