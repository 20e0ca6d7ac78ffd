import { type Composition, parseTemplate } from '@promptmill/files';
import type { ResolvedPromptOptions } from './prompt-options.ts';

/** @throws InputError `template_invalid`. */
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
