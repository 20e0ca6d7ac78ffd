import { createHash } from 'node:crypto';
import { join } from 'node:path';
import type { PromptOptions } from '../input/prompt-options.ts';

/**
 * The folder of one run: the same input, options and output find it again, whatever the process. Each has a Redis and
 * files of its own, so that a run that was left alone does not go on, and cost, behind another one.
 */
export const runFolder = (
  dataDirectory: string,
  inputDigest: string,
  { model, system, maxTokens, temperature, completionWindow }: PromptOptions,
  output: string,
): string => {
  const identity = JSON.stringify([inputDigest, model, system, maxTokens, temperature, completionWindow, output]);
  return join(dataDirectory, 'runs', createHash('sha256').update(identity).digest('hex').slice(0, 24));
};
