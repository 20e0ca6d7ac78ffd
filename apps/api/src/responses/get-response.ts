import type { Call } from '../call.ts';
import type { ApiDependencies } from '../dependencies.ts';
import { findResponse, toResponseObject } from './read-response.ts';
import type { ResponseObject, ResponseParams } from './response-schemas.ts';

/** `GET /v1/responses/{response_id}` */
export const getResponse =
  ({ kept }: Pick<ApiDependencies, 'kept'>) =>
  async ({ tenant, params: { response_id: id } }: Call<ResponseParams>): Promise<ResponseObject> =>
    toResponseObject(kept, id, await findResponse(kept, tenant, id));
