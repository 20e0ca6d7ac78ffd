import { fileKey } from '@promptmill/core';
import type { Call } from '../call.ts';
import type { ApiDependencies } from '../dependencies.ts';
import type { FileParams } from './file-schemas.ts';
import { findFile } from './find-file.ts';

/** `DELETE /v1/files/{file_id}`: the record goes first, so that no listed file is without its bytes. */
export const deleteFile =
  ({ records, files }: Pick<ApiDependencies, 'records' | 'files'>) =>
  async ({ tenant, params }: Call<FileParams>) => {
    const { id } = await findFile(records, tenant, params.file_id);
    await records.delete(tenant, id);
    await files.delete(fileKey(id));
    return { id, object: 'file' as const, deleted: true as const };
  };
