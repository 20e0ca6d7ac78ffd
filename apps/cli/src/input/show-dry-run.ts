import { createReadStream } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { JsonObject, LaneTable } from '@promptmill/core';
import { readLines } from '../api/read-lines.ts';
import type { CliContext } from '../context.ts';
import { describeEstimate } from '../estimate/describe-estimate.ts';
import { estimateInput } from '../estimate/estimate-input.ts';
import { plural } from '../format.ts';
import { nameOfInput } from './open-input.ts';
import { prepareInput } from './prepare-input.ts';
import { type PromptOptions, resolvePromptOptions } from './prompt-options.ts';

export interface DryRunOptions {
  readonly options: PromptOptions;
  readonly stream?: boolean;
  readonly maxLineBytes: number;
  /** They tell the prices of models. */
  readonly lanes: LaneTable;
}

const firstRequest = async (path: string): Promise<{ custom_id: string; url: string; body: JsonObject }> => {
  for await (const line of readLines(createReadStream(path)))
    if (line !== '') return JSON.parse(line) as Awaited<ReturnType<typeof firstRequest>>;
  throw new Error('a prepared input has a request');
};

/**
 * Checks an input as a run does, and prints the body of its first request, how many requests there are and what they will
 * use and cost. It calls nothing and leaves nothing behind.
 */
export const showDryRun = async (
  input: string,
  { options, stream, maxLineBytes, lanes }: DryRunOptions,
  context: CliContext,
): Promise<number> => {
  const { screen, stdout, signal } = context;
  const folder = await mkdtemp(join(tmpdir(), 'promptmill-'));
  try {
    const path = join(folder, 'input.jsonl');
    const resolved = await resolvePromptOptions(options);
    const { requests } = await prepareInput(input, { path, options: resolved, stream, maxLineBytes }, context);
    const { custom_id: customId, url, body } = await firstRequest(path);
    const estimate = await estimateInput({ path, requests, lanes, maxLineBytes, signal });
    screen.write(
      `${plural(requests, 'request')} of ${nameOfInput(input)}; nothing was called\n${describeEstimate(estimate)}\n` +
        `the first, ${customId} to ${url}:\n`,
    );
    stdout.write(`${JSON.stringify(body, undefined, 2)}\n`);
    return 0;
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
};
