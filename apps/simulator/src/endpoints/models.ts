import { createRandom, hashText } from '@promptmill/core';
import type OpenAI from 'openai';
import type { PromptText } from './prompt-text.ts';
import { writeJson } from './write-json.ts';

type WriteText = (prompt: PromptText, model: string, choice: number) => string;

/** The models that are listed. Any other model answers like `large`, except {@link missingModel}. */
const writers: Readonly<Record<string, WriteText>> = {
  echo: ({ lastUser }) => lastUser,
  reverse: ({ lastUser }) => Array.from(lastUser).toReversed().join(''),
  small: (prompt, model, choice) => writeWords(`${model}:${choice}:${prompt.whole}`, 4, 12),
  json: writeJson,
  large: (prompt, model, choice) => writeWords(`${model}:${choice}:${prompt.whole}`, 24, 56),
};

/** The one model that does not exist. */
export const missingModel = 'missing';

/** What a model answers: the same text for the same prompt and choice. */
export function writeAnswer(model: string, prompt: PromptText, choice: number): string {
  const write = Object.hasOwn(writers, model) ? writers[model]! : writers['large']!;
  return write(prompt, model, choice);
}

export function listModels(): OpenAI.Model[] {
  return Object.keys(writers).map((id) => ({ id, object: 'model', created: 1_767_225_600, owned_by: 'simulator' }));
}

function writeWords(seedText: string, minWords: number, maxWords: number): string {
  const random = createRandom(hashText(seedText));
  const count = minWords + Math.floor(random() * (maxWords - minWords + 1));
  let text = 'The';
  for (let index = 1; index < count; index++) text += ` ${words[Math.floor(random() * words.length)]}`;
  return `${text}.`;
}

const words = (
  'mill wheel river grain stone flour water turns slow morning light under bridge carries every sack along the old road ' +
  'where millers count each measure twice before night falls and quiet wind moves through open doors over warm bread'
).split(' ');
