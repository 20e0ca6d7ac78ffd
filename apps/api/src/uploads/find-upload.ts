import { ApiError, hasExpired, isUploadId, type Upload } from '@promptmill/core';
import type { ApiDependencies } from '../dependencies.ts';
import { lookTwice } from '../journal/look-twice.ts';

/** The tenant's upload; 404 for any other id, whatever is wrong with it. */
export const findUpload = async (
  { uploads, replayed }: Pick<ApiDependencies, 'uploads' | 'replayed'>,
  tenant: string,
  id: string,
): Promise<Upload> => {
  const upload = isUploadId(id) ? await lookTwice(() => uploads.get(tenant, id), replayed) : undefined;
  if (!upload) throw new ApiError(404, `No such Upload object: ${id}`, { param: 'id' });
  return upload;
};

/** The error for what only a pending upload takes. */
export const notPending = ({ id }: Upload, status: 'completed' | 'cancelled' | 'expired'): ApiError => {
  const what = status === 'expired' ? 'has expired' : `was ${status}`;
  return new ApiError(400, `The upload '${id}' ${what} already.`, { code: `upload_${status}`, param: 'upload_id' });
};

/** Throws a 400 when the upload has ended or expired. */
export const assertPending = (upload: Upload, nowMs: number): void => {
  if (upload.status !== 'pending') throw notPending(upload, upload.status);
  if (hasExpired(upload, nowMs)) throw notPending(upload, 'expired');
};
