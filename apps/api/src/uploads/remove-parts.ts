import { type Upload, uploadFolder } from '@promptmill/core';
import type { ApiDependencies } from '../dependencies.ts';

/** Removes the parts of an upload that has ended. */
export const removeParts = async (
  { uploads, files }: Pick<ApiDependencies, 'uploads' | 'files'>,
  { tenant, id }: Pick<Upload, 'tenant' | 'id'>,
): Promise<void> => {
  await files.deletePrefix(uploadFolder(id));
  await uploads.removeParts(tenant, id);
};
