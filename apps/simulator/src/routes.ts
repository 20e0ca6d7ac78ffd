import type { IncomingMessage, ServerResponse } from 'node:http';
import { ApiError, isLoopback } from '@promptmill/core';
import { BehaviourError, type Behaviour } from './behaviour.ts';
import type { CallStats } from './call-stats.ts';
import { answerChatCompletion } from './endpoints/answer-chat-completion.ts';
import { answerCompletion } from './endpoints/answer-completion.ts';
import { answerEmbedding } from './endpoints/answer-embedding.ts';
import { answerImageEdit, answerImageGeneration } from './endpoints/answer-image.ts';
import { answerModeration } from './endpoints/answer-moderation.ts';
import { answerResponse } from './endpoints/answer-response.ts';
import type { PrepareAnswer } from './endpoints/endpoint.ts';
import { listModels } from './endpoints/models.ts';
import { readJsonBody } from './read-json-body.ts';
import { sendError, sendJson, type Headers } from './send-answer.ts';

/** POST to one of these is a call: counted, limited, logged, and open to faults. */
export const callRoutes: Readonly<Record<string, PrepareAnswer>> = {
  '/v1/chat/completions': answerChatCompletion,
  '/v1/completions': answerCompletion,
  '/v1/embeddings': answerEmbedding,
  '/v1/responses': answerResponse,
  '/v1/moderations': answerModeration,
  '/v1/images/generations': answerImageGeneration,
  '/v1/images/edits': answerImageEdit,
};

export type PlainRoute = (request: IncomingMessage, response: ServerResponse, headers: Headers) => void;

export interface PlainRouteDeps {
  readonly stats: () => CallStats;
  /** Returns the behaviour as it is after the change. */
  readonly configure: (change: unknown) => Behaviour;
  /** Whether there is `/control`, for callers on this machine. */
  readonly control: boolean;
}

const maxControlBytes = 64 * 1024;

/** Answers callers on other machines as if the route did not exist. */
const forThisMachine =
  (route: PlainRoute): PlainRoute =>
  (request, response, headers) => {
    const address = request.socket.remoteAddress?.replace(/^::ffff:/, '') ?? '';
    if (isLoopback(address)) route(request, response, headers);
    else sendError(response, new ApiError(404, 'There is no such path.'), headers);
  };

/** The routes that are no calls, by method and path. */
export function createPlainRoutes({ stats, configure, control }: PlainRouteDeps): Record<string, PlainRoute> {
  const routes: Record<string, PlainRoute> = {
    'GET /livez': (_request, response, headers) => sendJson(response, 200, '{"status":"ok"}', headers),

    'GET /v1/models': (_request, response, headers) => {
      sendJson(response, 200, JSON.stringify({ object: 'list', data: listModels() }), headers);
    },
  };
  if (!control) return routes;
  return {
    ...routes,

    'GET /control/stats': forThisMachine((_request, response, headers) => {
      sendJson(response, 200, JSON.stringify(stats()), headers);
    }),

    'POST /control': forThisMachine((request, response, headers) => {
      readJsonBody(request, maxControlBytes, (read) => {
        if (read.status === 'invalid') {
          sendError(response, read.error, headers);
          return;
        }
        try {
          sendJson(response, 200, JSON.stringify(configure(read.body)), headers);
        } catch (error) {
          if (!(error instanceof BehaviourError)) throw error;
          sendError(response, new ApiError(400, error.message, { code: error.code }), headers);
        }
      });
    }),
  };
}
