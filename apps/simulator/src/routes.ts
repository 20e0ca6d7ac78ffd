import type { IncomingMessage, ServerResponse } from 'node:http';
import { ApiError } from '@promptmill/core';
import { BehaviourError, type Behaviour } from './behaviour.ts';
import type { CallStats } from './call-stats.ts';
import { answerChatCompletion } from './endpoints/answer-chat-completion.ts';
import { answerCompletion } from './endpoints/answer-completion.ts';
import { answerEmbedding } from './endpoints/answer-embedding.ts';
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
};

export type PlainRoute = (request: IncomingMessage, response: ServerResponse, headers: Headers) => void;

export interface PlainRouteDeps {
  readonly stats: () => CallStats;
  /** Returns the behaviour as it is after the change. */
  readonly configure: (change: unknown) => Behaviour;
  readonly maxBodyBytes: number;
}

/** The routes that are no calls, by method and path. */
export function createPlainRoutes({ stats, configure, maxBodyBytes }: PlainRouteDeps): Record<string, PlainRoute> {
  return {
    'GET /livez': (_request, response, headers) => sendJson(response, 200, '{"status":"ok"}', headers),

    'GET /v1/models': (_request, response, headers) => {
      sendJson(response, 200, JSON.stringify({ object: 'list', data: listModels() }), headers);
    },

    'GET /control/stats': (_request, response, headers) => {
      sendJson(response, 200, JSON.stringify(stats()), headers);
    },

    'POST /control': (request, response, headers) => {
      readJsonBody(request, maxBodyBytes, (read) => {
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
    },
  };
}
