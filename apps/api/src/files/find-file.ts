import { ApiError, type FileRecord, isFileId } from '@promptmill/core';
import type { FileRecords } from '@promptmill/queue';

/** The tenant's file; 404 for any other id, whatever is wrong with it. */
export const findFile = async (records: FileRecords, tenant: string, id: string): Promise<FileRecord> => {
  const file = isFileId(id) ? await records.get(tenant, id) : undefined;
  if (!file) throw new ApiError(404, `No such File object: ${id}`, { param: 'id' });
  return file;
};
