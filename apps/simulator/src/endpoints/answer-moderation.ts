import { createRandom, hashText, isJsonObject } from '@promptmill/core';
import type OpenAI from 'openai';
import { countTokens } from '../tokens.ts';
import type { PrepareAnswer } from './endpoint.ts';
import { readMessages, readTexts } from './prompt-text.ts';

const categories = [
  'harassment',
  'harassment/threatening',
  'hate',
  'hate/threatening',
  'illicit',
  'illicit/violent',
  'self-harm',
  'self-harm/instructions',
  'self-harm/intent',
  'sexual',
  'sexual/minors',
  'violence',
  'violence/graphic',
] as const satisfies readonly (keyof OpenAI.Moderation.Categories)[];

/**
 * Nothing is flagged, except under the fault `content-filter`: then violence is.
 * Source: https://platform.openai.com/docs/api-reference/moderations/create
 */
export const answerModeration: PrepareAnswer = (body, model) => {
  const texts = readInput(body['input']);
  return {
    prompt: texts.join('\n'),
    tokens: texts.reduce((sum, text) => sum + countTokens(text), 0),
    stream: false,
    render: ({ id, contentFiltered }) =>
      JSON.stringify({
        id: `modr-${id}`,
        model,
        results: texts.map((text) => moderate(text, contentFiltered)),
      } satisfies OpenAI.ModerationCreateResponse),
  };
};

/** Each text has a result of its own. A list of content parts has one result. */
function readInput(input: unknown): string[] {
  if (Array.isArray(input) && input.some(isJsonObject)) return [readMessages([{ content: input }], 'input').whole];
  return readTexts(input, 'input');
}

function moderate(text: string, flagged: boolean): OpenAI.Moderation {
  const random = createRandom(hashText(text));
  const isFlagged = (category: Category) => flagged && category === 'violence';
  return {
    flagged,
    categories: forEachCategory(isFlagged),
    category_scores: forEachCategory((category) => (isFlagged(category) ? 0.95 : random() / 100)),
    category_applied_input_types: forEachCategory(() => ['text']),
  };
}

type Category = (typeof categories)[number];

function forEachCategory<Value>(value: (category: Category) => Value): Record<Category, Value> {
  return Object.fromEntries(categories.map((category) => [category, value(category)])) as Record<Category, Value>;
}
