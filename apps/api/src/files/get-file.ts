import { type FileObject, toFileObject } from '@promptmill/core';
import type { Call } from '../call.ts';
import type { ApiDependencies } from '../dependencies.ts';
import type { FileParams } from './file-schemas.ts';
import { findFile } from './find-file.ts';

/** `GET /v1/files/{file_id}` */
export const getFile =
  ({ records }: Pick<ApiDependencies, 'records'>) =>
  async ({ tenant, params }: Call<FileParams>): Promise<FileObject> =>
    toFileObject(await findFile(records, tenant, params.file_id));
