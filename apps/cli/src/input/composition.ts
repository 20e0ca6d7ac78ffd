import type { PromptDefaults } from '@promptmill/core';
import { parseTemplate, type Template } from './template.ts';
import type { ResolvedPromptOptions } from './prompt-options.ts';

/** How rows become prompts. */
export interface RowComposition {
  readonly prompt: Template;
  readonly system: Template | undefined;
  readonly idColumn: string | undefined;
  readonly imageColumn: string | undefined;
}

/** How the parts of an input become requests. */
export interface Composition extends PromptDefaults {
  /** Whether to stream every request, whatever its line says. Default: false. */
  readonly stream?: boolean | undefined;
  /** Set when a template makes the prompts. The system message is in it then. */
  readonly rows?: RowComposition | undefined;
}

/** @throws CliError `template_invalid`. */
export const compositionOf = (options: ResolvedPromptOptions, stream = false): Composition => {
  const { model, prompt, system, endpoint, maxTokens, temperature } = options;
  const params = {
    ...options.params,
    ...(maxTokens === undefined
      ? {}
      : { [endpoint === '/v1/responses' ? 'max_output_tokens' : 'max_tokens']: maxTokens }),
    ...(temperature === undefined ? {} : { temperature }),
  };
  const defaults = { model, endpoint, stream, ...(Object.keys(params).length === 0 ? {} : { params }) };
  if (prompt === undefined) return { ...defaults, system };
  return {
    ...defaults,
    rows: {
      prompt: parseTemplate(prompt, '--prompt'),
      system: system === undefined ? undefined : parseTemplate(system, '--system'),
      idColumn: options.id,
      imageColumn: options.image,
    },
  };
};
