import { createHash } from 'node:crypto';
import { join } from 'node:path';
import type { ResolvedPromptOptions } from '../input/prompt-options.ts';

export interface StateFolderOptions {
  readonly dataDirectory: string;
  /** See `PreparedInput`. */
  readonly inputDigest: string;
  readonly options: ResolvedPromptOptions;
  /** An absolute path, or `-` for standard output. */
  readonly output: string;
}

/**
 * The folder in which one run keeps its state. The same input, options and output give the same folder in every process. Each folder has a
 * Redis and files of its own, so that an abandoned run does not go on, and cost money, while another one runs.
 */
export const stateFolder = ({ dataDirectory, inputDigest, options, output }: StateFolderOptions): string => {
  const { model, system, maxTokens, temperature, completionWindow } = options;
  const { prompt, id, image, endpoint, params, format, limit, sample, seed } = options;
  const identity: unknown[] = [inputDigest, model, system, maxTokens, temperature, completionWindow, output];
  const further = { prompt, id, image, endpoint, params, format, limit, sample, seed: sample && seed };
  // Without them the folder is that of an earlier version, so that its run goes on.
  if (Object.values(further).some((value) => value !== undefined)) identity.push(further);
  return join(dataDirectory, 'runs', createHash('sha256').update(JSON.stringify(identity)).digest('hex').slice(0, 24));
};
