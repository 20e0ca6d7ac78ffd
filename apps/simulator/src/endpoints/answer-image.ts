import { hashText, isJsonObject, type JsonObject } from '@promptmill/core';
import type OpenAI from 'openai';
import { invalidParameter, missingParameter } from '../api-error.ts';
import { countTokens } from '../tokens.ts';
import { readInteger, type PrepareAnswer } from './endpoint.ts';
import { writePng } from './write-png.ts';

const tokensOfInput = 50;
const tokensOfOutput = 100;
/** A request that names no size gets an image of a few bytes. */
const defaultSide = 8;
const maxSide = 4096;

const readSize = ({ size }: JsonObject): { readonly width: number; readonly height: number } => {
  if (size === undefined || size === null || size === 'auto') return { width: defaultSide, height: defaultSide };
  const [, width, height] = (typeof size === 'string' && /^(\d+)x(\d+)$/.exec(size)) || [];
  const isSide = (side: number): boolean => side >= 1 && side <= maxSide;
  if (!isSide(Number(width)) || !isSide(Number(height)))
    throw invalidParameter('size', `'auto' or a size up to ${maxSide}x${maxSide}`);
  return { width: Number(width), height: Number(height) };
};

const prepareImages = (body: JsonObject, model: string, inputs: number): ReturnType<PrepareAnswer> => {
  const { prompt } = body;
  if (prompt === undefined || prompt === null) throw missingParameter('prompt');
  if (typeof prompt !== 'string') throw invalidParameter('prompt', 'a text');
  const count = readInteger(body, 'n', 1, 10) ?? 1;
  const { width, height } = readSize(body);
  const inputDetails = { text_tokens: countTokens(prompt), image_tokens: inputs * tokensOfInput };
  const inputTokens = inputDetails.text_tokens + inputDetails.image_tokens;
  const outputTokens = count * tokensOfOutput;
  return {
    prompt,
    tokens: inputTokens + outputTokens,
    stream: false,
    render: ({ createdAt }) =>
      JSON.stringify({
        created: createdAt,
        background: 'opaque',
        output_format: 'png',
        size: `${width}x${height}`,
        data: Array.from({ length: count }, (_, image) => ({
          b64_json: writePng(width, height, hashText(`${model}:${image}:${prompt}`)).toString('base64'),
        })),
        usage: {
          input_tokens: inputTokens,
          input_tokens_details: inputDetails,
          output_tokens: outputTokens,
          output_tokens_details: { text_tokens: 0, image_tokens: outputTokens },
          total_tokens: inputTokens + outputTokens,
        },
      } satisfies OpenAI.ImagesResponse),
  };
};

/**
 * PNG images of one colour each, which the prompt decides. They are not compressed: one of 1024x1024 has 3 MB, like one of
 * a model. Source: https://developers.openai.com/api/docs/api-reference/images/create
 */
export const answerImageGeneration: PrepareAnswer = (body, model) => prepareImages(body, model, 0);

/**
 * The same for a JSON body with `images`, as a line of a batch has it.
 * Source: https://developers.openai.com/api/docs/api-reference/images/createEdit
 */
export const answerImageEdit: PrepareAnswer = (body, model) => {
  const { images } = body;
  if (images === undefined || images === null) throw missingParameter('images');
  const isImage = (image: unknown): boolean =>
    isJsonObject(image) && (typeof image['image_url'] === 'string' || typeof image['file_id'] === 'string');
  if (!Array.isArray(images) || images.length === 0 || !images.every(isImage))
    throw invalidParameter('images', "a list of objects with 'image_url' or 'file_id', at least one");
  return prepareImages(body, model, images.length);
};
