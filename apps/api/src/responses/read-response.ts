import { ApiError, isResponseId } from '@promptmill/core';
import type { KeptCall } from '@promptmill/queue';
import type { ApiDependencies } from '../dependencies.ts';
import { endedResponse } from './background-response.ts';
import type { ResponseObject } from './response-schemas.ts';

type Kept = ApiDependencies['kept'];

/** The call of the tenant's background response; 404 for any other id, whatever is wrong with it. */
export const findResponse = async (kept: Kept, tenant: string, id: string): Promise<KeptCall> => {
  const call = isResponseId(id) ? await kept.calls.get(id) : undefined;
  if (call?.tenant !== tenant || call.response === undefined)
    throw new ApiError(404, `Response with id '${id}' not found.`, { param: 'id' });
  return call;
};

/** A background response as it stands. */
export const toResponseObject = async (kept: Kept, id: string, call: KeptCall): Promise<ResponseObject> => {
  const { status, createdAt, answer, response = '{}' } = call;
  const queued = { ...JSON.parse(response), id, created_at: createdAt };
  return answer ? endedResponse(id, queued, await kept.read(answer)) : { ...queued, status };
};
