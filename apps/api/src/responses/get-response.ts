import type { Call } from '../call.ts';
import type { ApiDependencies } from '../dependencies.ts';
import { readResponse } from './read-response.ts';
import type { ResponseObject, ResponseParams } from './response-schemas.ts';

/** `GET /v1/responses/{response_id}` */
export const getResponse =
  ({ kept }: Pick<ApiDependencies, 'kept'>) =>
  ({ tenant, params }: Call<ResponseParams>): Promise<ResponseObject> =>
    readResponse(kept, tenant, params.response_id);
