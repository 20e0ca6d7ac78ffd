import { ApiError, newPartId, partKey } from '@promptmill/core';
import type { Call } from '../call.ts';
import type { ApiDependencies } from '../dependencies.ts';
import { bytesAhead, readUpload } from '../files/read-upload.ts';
import { tooLarge, upTo } from '../files/up-to.ts';
import { checkRequest } from '../request-problem.ts';
import { assertPending, findUpload, notPending } from './find-upload.ts';
import { maxPartBytes, maxParts, partFields, type UploadParams } from './upload-schemas.ts';

type Dependencies = Pick<ApiDependencies, 'uploads' | 'replayed' | 'files' | 'uploadPlaces' | 'now'>;

/**
 * `POST /v1/uploads/{upload_id}/parts`: stores a part. Parts may come in any order and at once; one that is sent again
 * is another part, and `complete` says which of them count.
 */
export const addPart = (dependencies: Dependencies) => {
  const { uploads, files, uploadPlaces, now } = dependencies;
  return async ({ tenant, params, request }: Call<UploadParams>) => {
    const upload = await findUpload(dependencies, tenant, params.upload_id);
    assertPending(upload, now());
    const id = newPartId();
    const key = partKey(upload.id, id);
    const place = await uploadPlaces.take(tenant, id, 'upload', Math.min(bytesAhead(request) ?? 0, maxPartBytes));
    try {
      const error = tooLarge('part', maxPartBytes, 'data');
      const { fields, received } = await readUpload(request, 'data', (source, signal) =>
        files.put(key, upTo(maxPartBytes, source, { error, beforeChunk: (bytes) => place.grow(bytes) }), { signal }),
      );
      checkRequest(partFields, fields);
      const outcome = await uploads.addPart(tenant, upload.id, { id, bytes: received.bytes }, maxParts);
      if (outcome === 'full')
        throw new ApiError(400, `An upload may have ${maxParts} parts.`, { code: 'too_many_parts', param: 'data' });
      if (outcome !== 'added') throw notPending(upload, outcome === 'missing' ? 'expired' : outcome);
      return {
        id,
        object: 'upload.part' as const,
        created_at: Math.floor(now() / 1000),
        upload_id: upload.id,
      };
    } catch (error) {
      await place.giveBack();
      // What cannot be deleted now, the sweep deletes.
      await files.delete(key).catch(() => {});
      throw error;
    } finally {
      place.leave();
    }
  };
};
