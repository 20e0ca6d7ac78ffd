import { toBatchObject } from '@promptmill/core';
import { toPage } from '../api-schemas.ts';
import type { Call } from '../call.ts';
import type { ApiDependencies } from '../dependencies.ts';
import { badRequest } from '../request-problem.ts';
import type { BatchQuery } from './batch-schemas.ts';

/** `GET /v1/batches`, a page at a time, newest first. */
export const listBatches =
  ({ batches }: Pick<ApiDependencies, 'batches'>) =>
  async ({ tenant, query }: Call<unknown, BatchQuery>) => {
    const found = await batches.list(tenant, query);
    if (!found)
      throw badRequest({
        message: `No batch found with id '${query.after}'.`,
        code: 'invalid_value',
        param: 'after',
      });
    return toPage(found.items.map(toBatchObject), found.hasMore);
  };
