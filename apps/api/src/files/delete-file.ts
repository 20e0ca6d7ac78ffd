import { ApiError } from '@promptmill/core';
import type { Call } from '../call.ts';
import type { ApiDependencies } from '../dependencies.ts';
import type { FileParams } from './file-schemas.ts';
import { findFile } from './find-file.ts';

/** `DELETE /v1/files/{file_id}`: 409 while a batch that has not ended needs the file. */
export const deleteFile =
  ({ records, removeFile }: Pick<ApiDependencies, 'records' | 'removeFile'>) =>
  async ({ tenant, params }: Call<FileParams>) => {
    const { id } = await findFile(records, tenant, params.file_id);
    const outcome = await removeFile(tenant, id);
    if (outcome.kind === 'in_use') {
      const message = `The file is in use by the batch '${outcome.batchId}', which has not ended. Cancel it, or wait.`;
      throw new ApiError(409, message, { code: 'file_in_use', param: 'file_id' });
    }
    return { id, object: 'file' as const, deleted: true as const };
  };
