import type { PromptDefaults } from '@promptmill/core';
import { type Command, InvalidArgumentError } from 'commander';

/** Options of both `run` and `submit`: how prompts become requests. */
export interface PromptOptions {
  readonly model?: string;
  readonly system?: string;
  readonly maxTokens?: number;
  readonly temperature?: number;
  readonly completionWindow: string;
}

export const wholeNumber =
  (min: number, max: number) =>
  (text: string): number => {
    const number = Number(text);
    if (/^\d+$/.test(text) && number >= min && number <= max) return number;
    throw new InvalidArgumentError(`It must be a whole number from ${min} to ${max}.`);
  };

export const positiveNumber = (text: string): number => {
  const number = Number(text);
  if (text.trim() !== '' && number > 0 && number < Infinity) return number;
  throw new InvalidArgumentError('It must be a number above 0.');
};

const temperature = (text: string): number => {
  const number = Number(text);
  if (text.trim() !== '' && number >= 0 && number <= 2) return number;
  throw new InvalidArgumentError('It must be a number from 0 to 2.');
};

export const maxWhole = 1_000_000_000;

export const addPromptOptions = (command: Command): Command =>
  command
    .option('-m, --model <provider/model>', 'the model of every line that names none')
    .option('--system <text>', 'a system message before every prompt')
    .option('--max-tokens <n>', 'most tokens in an answer', wholeNumber(1, maxWhole))
    .option('--temperature <t>', 'how random the answers are, from 0 to 2', temperature)
    .option('--completion-window <window>', 'longest time that the batch may take, 1h to 30d', '24h');

export const promptDefaults = ({ model, system, maxTokens, temperature }: PromptOptions): PromptDefaults => {
  const params = {
    ...(maxTokens === undefined ? {} : { max_tokens: maxTokens }),
    ...(temperature === undefined ? {} : { temperature }),
  };
  return { model, system, ...(Object.keys(params).length === 0 ? {} : { params }) };
};
