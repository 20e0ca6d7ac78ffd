import { createRandom, hashText } from '@promptmill/core';
import type OpenAI from 'openai';
import { invalidParameter } from '../api-error.ts';
import { countTokens } from '../tokens.ts';
import { readInteger, type PrepareAnswer } from './endpoint.ts';
import { readTexts } from './prompt-text.ts';

const defaultDimensions = 8;
/** What one call may carry, as OpenAI limits it. Source: https://platform.openai.com/docs/api-reference/embeddings/create */
const mostInputs = 2048;
const mostTokens = 300_000;

/** Source: https://platform.openai.com/docs/api-reference/embeddings/create */
export const answerEmbedding: PrepareAnswer = (body, model) => {
  const texts = readTexts(body['input'], 'input');
  if (texts.length > mostInputs) throw invalidParameter('input', `a list of at most ${mostInputs} inputs`);
  if (texts.includes('')) throw invalidParameter('input', 'text that is not empty');
  const dimensions = readInteger(body, 'dimensions', 1, 4096) ?? defaultDimensions;
  const format = body['encoding_format'] ?? 'float';
  if (format !== 'float' && format !== 'base64') throw invalidParameter('encoding_format', "'float' or 'base64'");
  const tokens = texts.reduce((sum, text) => sum + countTokens(text), 0);
  if (tokens > mostTokens) throw invalidParameter('input', `inputs of at most ${mostTokens} tokens together`);
  return {
    prompt: texts.join('\n'),
    tokens,
    stream: false,
    render: () =>
      JSON.stringify({
        object: 'list',
        model,
        data: texts.map((text, index) => {
          const vector = embed(`${model}:${text}`, dimensions);
          return { object: 'embedding', index, embedding: format === 'float' ? Array.from(vector) : toBase64(vector) };
        }),
        usage: { prompt_tokens: tokens, total_tokens: tokens },
      } satisfies EmbeddingList),
  };
};

/** The SDK's type has only floats, since the SDK decodes base64 before its caller sees it. */
type EmbeddingList = Omit<OpenAI.CreateEmbeddingResponse, 'data'> & {
  data: (Omit<OpenAI.Embedding, 'embedding'> & { embedding: number[] | string })[];
};

/** A vector of length 1 whose direction depends on the text's hash alone. */
function embed(text: string, dimensions: number): Float32Array {
  const random = createRandom(hashText(text));
  const vector = Float32Array.from({ length: dimensions }, () => random() * 2 - 1);
  const length = Math.hypot(...vector) || 1;
  return vector.map((value) => value / length);
}

function toBase64(vector: Float32Array): string {
  return Buffer.from(vector.buffer, vector.byteOffset, vector.byteLength).toString('base64');
}
