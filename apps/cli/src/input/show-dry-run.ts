import { createReadStream } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { JsonObject, LaneTable } from '@promptmill/core';
import { readLines } from '../api/read-lines.ts';
import type { CliContext } from '../context.ts';
import { describeEstimate } from '../estimate/describe-estimate.ts';
import { estimateInput, type InputEstimate, sumInputEstimates } from '../estimate/estimate-input.ts';
import { plural } from '@promptmill/core/display';
import { nameOfInput } from './open-input.ts';
import { prepareInput } from './prepare-input.ts';
import { type PromptOptions, resolvePromptOptions } from './prompt-options.ts';

export interface DryRunInputs {
  /** The input as it was named: a file, `-` or a folder. */
  readonly name: string;
  /** At least one. */
  readonly inputs: readonly string[];
}

export interface DryRunOptions {
  readonly options: PromptOptions;
  readonly stream?: boolean | undefined;
  readonly maxLineBytes: number;
  /** They tell the prices of models. */
  readonly lanes: LaneTable;
}

interface Request {
  readonly custom_id: string;
  readonly url: string;
  readonly body: JsonObject;
}

const firstRequest = async (path: string): Promise<Request> => {
  for await (const line of readLines(createReadStream(path))) if (line !== '') return JSON.parse(line) as Request;
  throw new Error('a prepared input has a request');
};

/**
 * Checks inputs as a run does, and prints the body of their first request, how many requests there are and what they will use
 * and cost. It calls nothing and leaves nothing behind.
 */
export const showDryRun = async (
  { name, inputs }: DryRunInputs,
  { options, stream, maxLineBytes, lanes }: DryRunOptions,
  context: CliContext,
): Promise<number> => {
  const { screen, stdout, signal } = context;
  const folder = await mkdtemp(join(tmpdir(), 'promptmill-'));
  try {
    const path = join(folder, 'input.jsonl');
    const resolved = await resolvePromptOptions(options);
    const estimates: InputEstimate[] = [];
    let requests = 0;
    let first: Request | undefined;
    for (const input of inputs) {
      const prepared = await prepareInput(input, { path, options: resolved, stream, maxLineBytes }, context);
      requests += prepared.requests;
      first ??= await firstRequest(path);
      const { tier } = options;
      estimates.push(await estimateInput({ path, requests: prepared.requests, lanes, tier, maxLineBytes, signal }));
    }
    const files = inputs.length > 1 ? ` in ${plural(inputs.length, 'file')}` : '';
    screen.write(
      `${plural(requests, 'request')} of ${nameOfInput(name)}${files}; nothing was called\n` +
        `${describeEstimate(sumInputEstimates(estimates))}\nthe first, ${first?.custom_id} to ${first?.url}:\n`,
    );
    stdout.write(`${JSON.stringify(first?.body, undefined, 2)}\n`);
    return 0;
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
};
