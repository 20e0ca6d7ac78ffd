import { fileKey, type FileObject, type FileRecord, newFileId, toFileObject } from '@promptmill/core';
import type { Call } from '../call.ts';
import type { ApiDependencies } from '../dependencies.ts';
import { checkRequest } from '../request-problem.ts';
import { uploadFields } from './file-schemas.ts';
import { readUpload } from './read-upload.ts';

/** How long an input file is kept where the upload does not say. As OpenAI does. */
export const inputExpiresAfterSeconds = 30 * 86_400;

/** `POST /v1/files`: receives an input file. Bad lines in it are noted with the file; they do not fail the upload. */
export const uploadFile =
  ({
    files,
    records,
    receiveInput,
    now,
    reach,
  }: Pick<ApiDependencies, 'files' | 'records' | 'receiveInput' | 'now' | 'reach'>) =>
  async ({ tenant, request }: Call): Promise<FileObject> => {
    const fileId = newFileId();
    const upload = await readUpload(request, (source, signal) => receiveInput({ fileId, source, signal }));
    try {
      const { purpose, expiresAfterSeconds } = checkRequest(uploadFields, upload.fields);
      const createdAt = Math.floor(now() / 1000);
      const record: FileRecord = {
        id: fileId,
        tenant,
        filename: upload.filename,
        purpose,
        bytes: upload.received.bytes,
        createdAt,
        expiresAt: createdAt + (expiresAfterSeconds ?? inputExpiresAfterSeconds),
        summary: upload.received.summary,
      };
      reach('input-stored');
      await records.put(record);
      return toFileObject(record);
    } catch (error) {
      await files.delete(fileKey(fileId));
      throw error;
    }
  };
