import type { Call } from '../call.ts';
import type { ApiDependencies } from '../dependencies.ts';
import { findResponse, toResponseObject } from './read-response.ts';
import type { ResponseObject, ResponseParams } from './response-schemas.ts';

/** `POST /v1/responses/{response_id}/cancel`: a call at the provider is broken off. One that has ended stays as it is. */
export const cancelResponse =
  ({ kept }: Pick<ApiDependencies, 'kept'>) =>
  async ({ tenant, params: { response_id: id } }: Call<ResponseParams>): Promise<ResponseObject> => {
    await kept.cancel(id, await findResponse(kept, tenant, id));
    return toResponseObject(kept, id, await findResponse(kept, tenant, id));
  };
