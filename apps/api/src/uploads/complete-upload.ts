import { setTimeout as sleep } from 'node:timers/promises';
import { ApiError, newFileId, toUploadObject, type Upload } from '@promptmill/core';
import type { Call } from '../call.ts';
import type { ApiDependencies } from '../dependencies.ts';
import { hashOf } from '../idempotency.ts';
import { badRequest } from '../request-problem.ts';
import { assertPending, findUpload } from './find-upload.ts';
import { createJoinParts } from './join-parts.ts';
import { keepWaiting } from './keep-waiting.ts';
import { removeParts } from './remove-parts.ts';
import type { CompleteUploadBody, UploadParams } from './upload-schemas.ts';

type Dependencies = Parameters<typeof createJoinParts>[0] & Pick<ApiDependencies, 'replayed'>;

/** How often a caller looks whether somebody else has completed the upload, in milliseconds. */
const lookAgainMs = 500;

/**
 * `POST /v1/uploads/{upload_id}/complete`: makes one file of the parts, as an upload of that file would. Many gigabytes
 * take minutes; meanwhile the answer is kept open ({@link keepWaiting}), and the work goes on when the caller leaves. The
 * same call again, at once or after a lost answer, waits for that work and gives the same file. 400 when the parts are
 * not what was announced, or when the upload was completed with other parts, was cancelled or has expired.
 */
export const completeUpload = (dependencies: Dependencies) => {
  const { uploads, records, now } = dependencies;
  const joinParts = createJoinParts(dependencies);

  const answerOf = async (upload: Upload, partsHash: string) => {
    const { tenant, completion } = upload;
    if (completion?.partsHash !== partsHash)
      throw badRequest({
        message: `The upload '${upload.id}' was completed with other parts.`,
        code: 'upload_completed',
        param: 'part_ids',
      });
    return toUploadObject(upload, now(), await records.get(tenant, completion.fileId));
  };

  /** Takes one step towards the end of a pending upload. */
  const proceed = async (upload: Upload, partsHash: string, body: CompleteUploadBody): Promise<'busy' | undefined> => {
    const { tenant, id, completion: last } = upload;
    // Its process died after it had written the record.
    if (last && (await records.get(tenant, last.fileId))) {
      await uploads.complete(tenant, id, last.fileId);
      return undefined;
    }
    if (upload.busyUntilMs <= now()) assertPending(upload, now());
    const completion = { fileId: newFileId(), partsHash };
    const outcome = await uploads.beginCompletion(tenant, id, completion, last);
    if (outcome === 'busy') return outcome;
    if (outcome === 'begun') await joinParts(upload, completion, body);
    return undefined;
  };

  return async ({ tenant, params, body, response }: Call<UploadParams, unknown, CompleteUploadBody>) => {
    const partsHash = hashOf(JSON.stringify(body.part_ids));
    const stopKeeping = keepWaiting(response);
    try {
      for (;;) {
        const upload = await findUpload(dependencies, tenant, params.upload_id);
        if (upload.status === 'completed') {
          const answer = await answerOf(upload, partsHash);
          // What cannot be removed now, the sweep removes.
          await removeParts(dependencies, upload).catch(() => {});
          return answer;
        }
        if (upload.status !== 'pending') assertPending(upload, now());
        if ((await proceed(upload, partsHash, body)) === undefined) continue;
        if (response.closed) throw new ApiError(408, 'The caller has left.');
        await sleep(lookAgainMs);
      }
    } finally {
      stopKeeping();
    }
  };
};
