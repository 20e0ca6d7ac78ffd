import { type Batch, toBatchObject } from '@promptmill/core';
import { toPage } from '../api-schemas.ts';
import type { Call } from '../call.ts';
import type { ApiDependencies } from '../dependencies.ts';
import { badRequest } from '../request-problem.ts';
import type { BatchQuery } from './batch-schemas.ts';

/**
 * Whether a batch is one that a query asks for; undefined when it asks for all.
 *
 * @param textsOf what is searched besides the id and the model
 */
const createMatches = ({ status, search }: BatchQuery, textsOf: (batch: Batch) => readonly string[]) => {
  if (status === undefined && !search) return undefined;
  const statuses = status && new Set(status);
  const wanted = search?.toLowerCase() ?? '';
  return (batch: Batch): boolean =>
    (!statuses || statuses.has(batch.status)) &&
    [batch.id, batch.model ?? '', ...textsOf(batch)].some((text) => text.toLowerCase().includes(wanted));
};

/** A page of a tenant's batches that a query asks for, newest first; undefined when there is no batch `after`. */
export const findBatches = async (
  batches: ApiDependencies['batches'],
  tenant: string,
  query: BatchQuery,
  textsOf: (batch: Batch) => readonly string[] = () => [],
) => {
  const { after, limit } = query;
  const matches = createMatches(query, textsOf);
  if (matches) return batches.find(tenant, { after, limit, matches });
  const found = await batches.list(tenant, { after, limit });
  return found && { ...found, lastId: found.items.at(-1)?.id };
};

const metadataOf = ({ metadata }: Batch): string[] => Object.entries(metadata ?? {}).flat();

/** `GET /v1/batches`, a page at a time, newest first. */
export const listBatches =
  ({ batches }: Pick<ApiDependencies, 'batches'>) =>
  async ({ tenant, query }: Call<unknown, BatchQuery>) => {
    const found = await findBatches(batches, tenant, query, metadataOf);
    if (!found)
      throw badRequest({
        message: `No batch found with id '${query.after}'.`,
        code: 'invalid_value',
        param: 'after',
      });
    return toPage(found.items.map(toBatchObject), found.hasMore, found.lastId);
  };
