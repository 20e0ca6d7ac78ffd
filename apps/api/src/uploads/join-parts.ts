import { createHash } from 'node:crypto';
import { ApiError, type Completion, isPartId, partKey, type Upload } from '@promptmill/core';
import { FileStoreError } from '@promptmill/files';
import { keepCompletionEveryMs } from '@promptmill/queue';
import type { ApiDependencies } from '../dependencies.ts';
import { badRequest } from '../request-problem.ts';
import type { CompleteUploadBody } from './upload-schemas.ts';

type Dependencies = Pick<
  ApiDependencies,
  'uploads' | 'files' | 'records' | 'receiveInput' | 'removeFile' | 'now' | 'passFailPoint'
>;

interface StoredPart {
  readonly id: string;
  readonly bytes: number;
}

const otherMd5 = (md5: string): ApiError =>
  new ApiError(400, `The file has the MD5 ${md5}.`, { code: 'md5_mismatch', param: 'md5' });

/** Makes the file of an upload's parts under an id that a {@link Completion} has taken. */
export const createJoinParts = (dependencies: Dependencies) => {
  const { uploads, files, records, receiveInput, removeFile, now, passFailPoint } = dependencies;

  /** The parts that are named. Throws a 400 when one is not there, or when they have not as many bytes as the file. */
  const partsOf = async ({ tenant, id, bytes }: Upload, partIds: readonly string[]): Promise<StoredPart[]> => {
    const noted = await uploads.partBytes(tenant, id, partIds);
    const parts: StoredPart[] = [];
    for (const [i, partId] of partIds.entries()) {
      // Redis may have lost the note of a part that was acknowledged.
      const size = noted[i] ?? (isPartId(partId) ? await files.size(partKey(id, partId)) : undefined);
      if (size === undefined)
        throw badRequest({ message: `No such Part object: ${partId}`, code: 'part_not_found', param: 'part_ids' });
      parts.push({ id: partId, bytes: size });
    }
    const found = parts.reduce((sum, part) => sum + part.bytes, 0);
    if (found === bytes) return parts;
    const message = `The parts have ${found} bytes together; the upload was created for ${bytes}.`;
    throw badRequest({ message, code: 'bytes_mismatch', param: 'part_ids' });
  };

  /** The bytes of all parts. Throws after the last one when they have another MD5 than `md5`. */
  async function* join(
    { tenant, id }: Upload,
    parts: readonly StoredPart[],
    partsHash: string,
    md5: string | undefined,
  ): AsyncGenerator<Uint8Array> {
    const hash = md5 === undefined ? undefined : createHash('md5');
    for (const part of parts) {
      let bytes = 0;
      for await (const chunk of (await files.get(partKey(id, part.id))) as AsyncIterable<Uint8Array>) {
        hash?.update(chunk);
        bytes += chunk.length;
        yield chunk;
      }
      if (bytes !== part.bytes)
        throw new FileStoreError('unavailable', `${part.id} has ${bytes} bytes, but ${part.bytes} were stored`);
    }
    const found = hash?.digest('hex');
    if (found === undefined || found === md5) return;
    await uploads.noteRefused(tenant, id, { partsHash, md5: found });
    throw otherMd5(found);
  }

  const makeFile = async (upload: Upload, { fileId, partsHash }: Completion, body: CompleteUploadBody) => {
    const { tenant, refused } = upload;
    const md5 = body.md5?.toLowerCase();
    if (md5 !== undefined && refused?.partsHash === partsHash && refused.md5 !== md5) throw otherMd5(refused.md5);
    const parts = await partsOf(upload, body.part_ids);
    const received = await receiveInput({
      tenant,
      fileId,
      source: join(upload, parts, partsHash, md5),
      receivedAs: 'uploaded parts',
    });
    passFailPoint('input-stored');
    return received;
  };

  /**
   * Resolves when the upload is completed, by this call or another. Nothing of the file is visible before its last byte
   * is stored and checked; one that came second is discarded.
   */
  return async (upload: Upload, completion: Completion, body: CompleteUploadBody): Promise<void> => {
    const { tenant, id, filename, purpose, fileExpiresAfterSeconds } = upload;
    const { fileId } = completion;
    const keep = () => uploads.beginCompletion(tenant, id, completion);
    // When Redis is away, the next turn keeps it.
    const timer = setInterval(() => void keep().catch(() => {}), keepCompletionEveryMs);
    try {
      const received = await makeFile(upload, completion, body);
      // A process that stood still may have been taken for dead.
      if ((await keep()) === 'begun') {
        const createdAt = Math.floor(now() / 1000);
        const expiresAt = createdAt + fileExpiresAfterSeconds;
        await records.put({ id: fileId, tenant, filename, purpose, createdAt, expiresAt, ...received });
        passFailPoint('parts-joined');
      }
      const outcome = await uploads.complete(tenant, id, fileId);
      const isOurs =
        outcome === 'ended' ||
        (outcome === 'completed' && (await uploads.get(tenant, id))?.completion?.fileId === fileId);
      if (!isOurs) await removeFile(tenant, fileId);
    } catch (error) {
      // Otherwise others may complete the upload after 10 s.
      await uploads.giveUpCompletion(tenant, id, completion).catch(() => {});
      throw error;
    } finally {
      clearInterval(timer);
    }
  };
};
