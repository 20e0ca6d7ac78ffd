import { createReadStream } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { JsonObject } from '@promptmill/core';
import { readLines } from '../api/read-lines.ts';
import type { CliContext } from '../context.ts';
import { plural } from '@promptmill/core/display';
import { nameOfInput } from './open-input.ts';
import { prepareInput } from './prepare-input.ts';
import { type PromptOptions, resolvePromptOptions } from './prompt-options.ts';

export interface DryRunOptions {
  readonly options: PromptOptions;
  readonly stream?: boolean;
  readonly maxLineBytes: number;
}

const firstRequest = async (path: string): Promise<{ custom_id: string; url: string; body: JsonObject }> => {
  for await (const line of readLines(createReadStream(path)))
    if (line !== '') return JSON.parse(line) as Awaited<ReturnType<typeof firstRequest>>;
  throw new Error('a prepared input has a request');
};

/** Checks an input as a run does, and prints the body of its first request. It calls nothing and leaves nothing behind. */
export const showDryRun = async (
  input: string,
  { options, stream, maxLineBytes }: DryRunOptions,
  context: CliContext,
): Promise<number> => {
  const folder = await mkdtemp(join(tmpdir(), 'promptmill-'));
  try {
    const path = join(folder, 'input.jsonl');
    const resolved = await resolvePromptOptions(options);
    const { requests } = await prepareInput(input, { path, options: resolved, stream, maxLineBytes }, context);
    const { custom_id: customId, url, body } = await firstRequest(path);
    context.screen.write(
      `${plural(requests, 'request')} of ${nameOfInput(input)}, nothing was called; the first, ${customId} to ${url}:\n`,
    );
    context.stdout.write(`${JSON.stringify(body, undefined, 2)}\n`);
    return 0;
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
};
