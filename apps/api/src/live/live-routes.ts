import { endpoints } from '@promptmill/core';
import type { ApiDependencies } from '../dependencies.ts';
import { idempotencyHeaders } from '../idempotency.ts';
import { answerLiveCall, liveCallBody } from './answer-live-call.ts';
import { cancelResponse } from '../responses/cancel-response.ts';
import { deleteResponse } from '../responses/delete-response.ts';
import { getResponse } from '../responses/get-response.ts';
import { deletedResponse, responseObject, responseParams, responseQuery } from '../responses/response-schemas.ts';
import { type AnyRoute, route } from '../route.ts';

/** The routes of live calls and of background responses. */
export const createLiveRoutes = (dependencies: ApiDependencies): AnyRoute[] => [
  ...endpoints.map((path) =>
    route({
      method: 'post',
      path,
      summary: 'Call a model, in its lane and within its limits, and wait for the answer',
      tag: 'Live calls',
      headers: idempotencyHeaders,
      body: liveCallBody,
      bodyLimit: { maxBytes: 8 * 2 ** 20, instead: '' },
      answer: { description: 'The answer of the provider, as it came; a stream when `stream` is true.' },
      handle: answerLiveCall(path, dependencies),
    }),
  ),
  route({
    method: 'get',
    path: '/v1/responses/{response_id}',
    summary: 'Retrieve a background response',
    tag: 'Live calls',
    params: responseParams,
    query: responseQuery,
    answer: { description: 'The response: how it stands, and once there is one the answer.', schema: responseObject },
    handle: getResponse(dependencies),
  }),
  route({
    method: 'post',
    path: '/v1/responses/{response_id}/cancel',
    summary: 'Cancel a background response',
    tag: 'Live calls',
    audit: 'response.cancel',
    params: responseParams,
    answer: { description: 'The response: cancelled, or as it ended before.', schema: responseObject },
    handle: cancelResponse(dependencies),
  }),
  route({
    method: 'delete',
    path: '/v1/responses/{response_id}',
    summary: 'Delete a background response; one that is under way is cancelled',
    tag: 'Live calls',
    audit: 'response.delete',
    params: responseParams,
    answer: { description: 'The response is gone.', schema: deletedResponse },
    handle: deleteResponse(dependencies),
  }),
];
