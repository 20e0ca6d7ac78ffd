import { type FileObject, type FilePurpose, filePurposes, toFileObject } from '@promptmill/core';
import { toPage } from '../api-schemas.ts';
import type { Call } from '../call.ts';
import type { ApiDependencies } from '../dependencies.ts';
import { badRequest } from '../request-problem.ts';
import type { FileQuery } from './file-schemas.ts';

const isKept = (purpose: string): purpose is FilePurpose => filePurposes.some((kept) => kept === purpose);

/** `GET /v1/files`, a page at a time. */
export const listFiles =
  ({ records }: Pick<ApiDependencies, 'records'>) =>
  async ({ tenant, query }: Call<unknown, FileQuery>) => {
    const { purpose } = query;
    if (purpose !== undefined && !isKept(purpose)) return toPage<FileObject>([], false);
    const found = await records.list(tenant, { ...query, purpose });
    if (!found)
      throw badRequest({ message: `No such File object: ${query.after}`, code: 'invalid_value', param: 'after' });
    return toPage(found.items.map(toFileObject), found.hasMore);
  };
