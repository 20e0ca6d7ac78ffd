import { newUploadId, type NewUpload, toUploadObject, uploadLastsSeconds } from '@promptmill/core';
import type { Call } from '../call.ts';
import type { ApiDependencies } from '../dependencies.ts';
import { tooLarge } from '../files/up-to.ts';
import { inputExpiresAfterSeconds } from '../files/upload-file.ts';
import type { CreateUploadBody } from './upload-schemas.ts';

type Dependencies = Pick<ApiDependencies, 'config' | 'uploads' | 'uploadPlaces' | 'journal' | 'now'>;

/** `POST /v1/uploads`: begins an upload in parts. It expires an hour later. */
export const createUpload =
  ({ config, uploads, uploadPlaces, journal, now }: Dependencies) =>
  async ({ tenant, body }: Call<unknown, unknown, CreateUploadBody>) => {
    const { bytes, filename, purpose, mime_type: mimeType, expires_after: fileExpiresAfter } = body;
    const { maxFileBytes } = config.limits;
    if (bytes > maxFileBytes) throw tooLarge('file', maxFileBytes, 'bytes');
    const id = newUploadId();
    // Each part takes its own place later. The client learns now whether there is room for all of them.
    const place = await uploadPlaces.take(tenant, id, 'upload', bytes);
    await place.giveBack();
    const createdAt = Math.floor(now() / 1000);
    const upload: NewUpload = {
      id,
      tenant,
      filename,
      purpose,
      mimeType,
      bytes,
      createdAt,
      expiresAt: createdAt + uploadLastsSeconds,
      fileExpiresAfterSeconds: fileExpiresAfter?.seconds ?? inputExpiresAfterSeconds,
    };
    await uploads.create(upload);
    await journal.noteUpload(upload);
    return toUploadObject({ ...upload, status: 'pending', busyUntilMs: 0 }, now());
  };
