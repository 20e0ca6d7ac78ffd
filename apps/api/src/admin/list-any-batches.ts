import { toPage } from '../api-schemas.ts';
import type { Call } from '../call.ts';
import type { ApiDependencies } from '../dependencies.ts';
import { findBatches } from '../batches/list-batches.ts';
import { badRequest } from '../request-problem.ts';
import { type AdminBatchQuery, toAdminBatch } from './admin-schemas.ts';

/** `GET /v1/admin/batches?tenant=`: a tenant's batches, a page at a time, newest first. */
export const listAnyBatches =
  ({ batches }: Pick<ApiDependencies, 'batches'>) =>
  async ({ query }: Call<unknown, AdminBatchQuery>) => {
    const { tenant, after } = query;
    // What the owner has written, such as metadata, is not searched.
    const found = await findBatches(batches, tenant, query);
    if (!found)
      throw badRequest({
        message: `The tenant '${tenant}' has no batch with id '${after}'.`,
        code: 'invalid_value',
        param: 'after',
      });
    return toPage(found.items.map(toAdminBatch), found.hasMore, found.lastId);
  };
