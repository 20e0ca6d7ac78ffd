import type { RequestLine } from '@promptmill/core';
import { type CountTokens, inputCharactersOf, outputLimitOf } from '../count-tokens.ts';
import type { ModelSample } from './estimate-model.ts';

/** Samples by the model that their requests name. */
export type Samples = ReadonlyMap<string, ModelSample>;

/** Whether a request has output tokens. How many an image takes is not known before: nothing in its request limits them. */
const isGenerated = ({ url }: RequestLine): boolean => url !== '/v1/embeddings' && url !== '/v1/moderations';

const choicesOf = ({ body }: RequestLine): number => (typeof body['n'] === 'number' ? body['n'] : 1);

/** Both samples together. */
export const addSamples = (a: Samples, b: Samples): Samples => {
  const sums = new Map(a);
  for (const [model, more] of b) {
    const before = sums.get(model);
    sums.set(
      model,
      before
        ? {
            requests: before.requests + more.requests,
            tokens: before.tokens + more.tokens,
            characters: before.characters + more.characters,
            outputLimits: before.outputLimits.concat(more.outputLimits),
          }
        : more,
    );
  }
  return sums;
};

/** Measures some requests. It takes processor time: up to 10 ms for 1000 characters. */
export const measureRequests = (requests: readonly RequestLine[], countTokens: CountTokens): Samples => {
  const samples = new Map<string, { requests: number; tokens: number; characters: number; outputLimits: number[] }>();
  for (const request of requests) {
    const { body } = request;
    const sample = samples.get(body.model) ?? { requests: 0, tokens: 0, characters: 0, outputLimits: [] };
    samples.set(body.model, sample);
    sample.requests++;
    sample.tokens += countTokens(body);
    sample.characters += inputCharactersOf(body);
    sample.outputLimits.push(isGenerated(request) ? outputLimitOf(body) * choicesOf(request) : 0);
  }
  return samples;
};
