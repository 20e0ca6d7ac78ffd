import { ApiError, hasExpired, toUploadObject } from '@promptmill/core';
import type { Call } from '../call.ts';
import type { ApiDependencies } from '../dependencies.ts';
import { findUpload, notPending } from './find-upload.ts';
import { removeParts } from './remove-parts.ts';
import type { UploadParams } from './upload-schemas.ts';

type Dependencies = Pick<ApiDependencies, 'uploads' | 'replayed' | 'files' | 'now'>;

/** `POST /v1/uploads/{upload_id}/cancel`: 400 when it was completed, 409 while it is being completed. */
export const cancelUpload =
  (dependencies: Dependencies) =>
  async ({ tenant, params }: Call<UploadParams>) => {
    const { uploads, now } = dependencies;
    const upload = await findUpload(dependencies, tenant, params.upload_id);
    if (hasExpired(upload, now())) return toUploadObject(upload, now());
    const outcome = await uploads.cancel(tenant, upload.id);
    if (outcome === 'busy')
      throw new ApiError(409, `The upload '${upload.id}' is being completed.`, { code: 'upload_busy' });
    if (outcome === 'completed') throw notPending(upload, 'completed');
    // What cannot be removed now, the sweep removes.
    await removeParts(dependencies, upload).catch(() => {});
    return toUploadObject({ ...upload, status: 'cancelled' }, now());
  };
