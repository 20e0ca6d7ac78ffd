import { createHash } from 'node:crypto';
import { join } from 'node:path';
import type { PromptOptions } from '../input/prompt-options.ts';

export interface RunFolderOptions {
  readonly dataDirectory: string;
  /** SHA-256 of the input's bytes, in hex. */
  readonly inputDigest: string;
  readonly options: PromptOptions;
  /** An absolute path, or `-` for standard output. */
  readonly output: string;
}

/**
 * The folder of one run. The same input, options and output give the same folder in every process. Each folder has a
 * Redis and files of its own, so that an abandoned run does not go on, and cost money, while another one runs.
 */
export const runFolder = ({ dataDirectory, inputDigest, options, output }: RunFolderOptions): string => {
  const { model, system, maxTokens, temperature, completionWindow } = options;
  const identity = JSON.stringify([inputDigest, model, system, maxTokens, temperature, completionWindow, output]);
  return join(dataDirectory, 'runs', createHash('sha256').update(identity).digest('hex').slice(0, 24));
};
