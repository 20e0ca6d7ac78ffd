import type { Call } from '../call.ts';
import type { ApiDependencies } from '../dependencies.ts';
import { findResponse } from './read-response.ts';
import type { ResponseParams } from './response-schemas.ts';

/** `DELETE /v1/responses/{response_id}` */
export const deleteResponse =
  ({ kept }: Pick<ApiDependencies, 'kept'>) =>
  async ({ tenant, params: { response_id: id } }: Call<ResponseParams>) => {
    const call = await findResponse(kept, tenant, id);
    await kept.cancel(id, call);
    await kept.remove(id, call.claim && { tenant, ...call.claim });
    return { id, object: 'response' as const, deleted: true as const };
  };
