import { type FileRecord, isFileId } from '@promptmill/core';
import type { FileRecords } from '@promptmill/queue';
import { badRequest } from '../request-problem.ts';

/** The tenant's file from which a batch is to be made; 400 for any other id. */
export const findInputFile = async (
  records: Pick<FileRecords, 'get'>,
  tenant: string,
  id: string,
): Promise<FileRecord> => {
  const file = isFileId(id) ? await records.get(tenant, id) : undefined;
  const param = 'input_file_id';
  if (!file) throw badRequest({ message: `No such File object: ${id}`, code: 'file_not_found', param });
  if (file.purpose !== 'batch') {
    const message = `Invalid '${param}': the purpose of the file must be 'batch', but is '${file.purpose}'.`;
    throw badRequest({ message, code: 'invalid_purpose', param });
  }
  return file;
};
