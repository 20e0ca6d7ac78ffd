import { setImmediate } from 'node:timers/promises';
import type { RequestLine } from '@promptmill/core';
import { inputCharactersOf, openTokenCounter, outputLimitOf } from '@promptmill/provider';
import type { ModelSample } from './estimate-model.ts';

/** After this time others have their turn. */
const turnMs = 10;

const isGenerated = ({ url }: RequestLine): boolean => url !== '/v1/embeddings' && url !== '/v1/moderations';

const choicesOf = ({ body }: RequestLine): number => (typeof body['n'] === 'number' ? body['n'] : 1);

/** So much of a request is counted that it takes no longer than 50 ms, whatever it holds. */
const countedCharacters = 4000;

/**
 * Measures requests, by the model that they name. The process goes on with other work meanwhile. The tokenizer is loaded for
 * the first of them.
 */
export const createMeasureRequests = () => {
  let opening: ReturnType<typeof openTokenCounter> | undefined;
  return async (source: AsyncIterable<readonly RequestLine[]>): Promise<ReadonlyMap<string, ModelSample>> => {
    const countTokens = await (opening ??= openTokenCounter(countedCharacters));
    const samples = new Map<string, ModelSample & { outputLimits: number[] }>();
    let turnEndsAt = performance.now() + turnMs;
    for await (const requests of source)
      for (const request of requests) {
        const { body } = request;
        const {
          requests: before,
          tokens,
          characters,
          outputLimits,
        } = samples.get(body.model) ?? {
          requests: 0,
          tokens: 0,
          characters: 0,
          outputLimits: [],
        };
        outputLimits.push(isGenerated(request) ? outputLimitOf(body) * choicesOf(request) : 0);
        samples.set(body.model, {
          requests: before + 1,
          tokens: tokens + countTokens(body),
          characters: characters + inputCharactersOf(body),
          outputLimits,
        });
        if (performance.now() < turnEndsAt) continue;
        await setImmediate();
        turnEndsAt = performance.now() + turnMs;
      }
    return samples;
  };
};
