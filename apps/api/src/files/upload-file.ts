import { createHash } from 'node:crypto';
import { ApiError, type FileObject, type FileRecord, newFileId, toFileObject } from '@promptmill/core';
import { createClaims } from '@promptmill/queue';
import type { Call } from '../call.ts';
import type { ApiDependencies } from '../dependencies.ts';
import { claimKey, hashOf, idempotencyHeaders, type KeyedRequest } from '../idempotency.ts';
import { checkRequest } from '../request-problem.ts';
import { uploadFields } from './file-schemas.ts';
import { bytesAhead, readUpload } from './read-upload.ts';

/** How long an input file is kept when the upload does not say, as at OpenAI. */
export const inputExpiresAfterSeconds = 30 * 86_400;

type Dependencies = Pick<
  ApiDependencies,
  'redis' | 'keys' | 'records' | 'receiveInput' | 'removeFile' | 'now' | 'passFailPoint'
>;

/** `POST /v1/files`: receives an input file. Bad lines in it are noted with the file; they do not fail the upload. */
export const uploadFile = (dependencies: Dependencies) => {
  const { redis, keys, records, receiveInput, removeFile, now, passFailPoint } = dependencies;
  const claims = createClaims<FileRecord>(redis, keys, 'file');

  /** Removes a file that is not used. If that fails, the sweep removes it later. */
  const discard = async ({ tenant, id }: Pick<FileRecord, 'tenant' | 'id'>): Promise<void> => {
    await removeFile(tenant, id).catch(() => {});
  };

  /** Receives a file under a new id; its record is not written yet. */
  const receive = async ({ tenant, request }: Call, withHash: boolean) => {
    const id = newFileId();
    const hash = createHash('sha256');
    async function* hashed(source: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
      for await (const chunk of source) {
        hash.update(chunk);
        yield chunk;
      }
    }
    const upload = await readUpload(request, 'file', (source, signal) =>
      receiveInput({
        tenant,
        fileId: id,
        receivedAs: 'upload',
        source: withHash ? hashed(source) : source,
        expectedBytes: bytesAhead(request),
        signal,
      }),
    );
    try {
      const { purpose, expiresAfterSeconds = inputExpiresAfterSeconds } = checkRequest(uploadFields, upload.fields);
      const { filename, received } = upload;
      const createdAt = Math.floor(now() / 1000);
      const expiresAt = createdAt + expiresAfterSeconds;
      const record: FileRecord = { id, tenant, filename, purpose, createdAt, expiresAt, ...received };
      const contentHash = hashOf(JSON.stringify([hash.digest('hex'), filename, purpose, expiresAfterSeconds]));
      return { record, contentHash };
    } catch (error) {
      await discard({ tenant, id });
      throw error;
    }
  };

  /**
   * Returns the file that was first uploaded under a key. Its record is written again, since the first upload may have
   * died before it wrote the record; the bytes were stored before the key was claimed. A file that was deleted since
   * then frees its key.
   */
  const putOnce = async (fresh: FileRecord, keyed: KeyedRequest): Promise<FileRecord> => {
    for (;;) {
      const { made } = await claimKey(claims, keyed, fresh);
      if (await records.put(made)) {
        if (made.id !== fresh.id) await discard(fresh);
        return made;
      }
      await claims.release(keyed, made);
    }
  };

  return async (call: Call): Promise<FileObject> => {
    const { 'idempotency-key': key } = checkRequest(idempotencyHeaders, call.request.headers);
    const { record, contentHash } = await receive(call, key !== undefined);
    passFailPoint('input-stored');
    const { tenant } = call;
    if (key === undefined) {
      await records.put(record);
      return toFileObject(record);
    }
    try {
      return toFileObject(await putOnce(record, { tenant, key, contentHash }));
    } catch (error) {
      if (error instanceof ApiError && error.status < 500) await discard(record);
      throw error;
    }
  };
};
