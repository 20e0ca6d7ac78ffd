import { invalidParameter } from '../api-error.ts';

interface Page<T> {
  readonly object: 'list';
  readonly data: readonly T[];
  readonly first_id: string | null;
  readonly last_id: string | null;
  readonly has_more: boolean;
}

/**
 * A page of a list, as `after` and `limit` of the query ask for it.
 * @param items in the order of the list
 * @throws ApiError 400 for a limit out of range, or an `after` that is not in the list
 */
export function listPage<T extends { readonly id: string }>(
  items: readonly T[],
  query: URLSearchParams,
  limits: { readonly usual: number; readonly most: number },
): Page<T> {
  const limit = Number(query.get('limit') ?? limits.usual);
  if (!Number.isInteger(limit) || limit < 1 || limit > limits.most)
    throw invalidParameter('limit', `an integer from 1 to ${limits.most}`);
  const after = query.get('after');
  const at = after === null ? -1 : items.findIndex(({ id }) => id === after);
  if (after !== null && at === -1) throw invalidParameter('after', 'the id of a listed object');
  const data = items.slice(at + 1, at + 1 + limit);
  return {
    object: 'list',
    data,
    first_id: data[0]?.id ?? null,
    last_id: data.at(-1)?.id ?? null,
    has_more: items.length > at + 1 + limit,
  };
}
