import type { Endpoint } from './endpoints.ts';

/** A prompt as a person writes it, when it is more than its text. */
export interface Prompt {
  readonly custom_id?: string | undefined;
  readonly prompt?: string | undefined;
  readonly messages?: readonly unknown[] | undefined;
  readonly model?: string | undefined;
}

export interface PromptDefaults {
  readonly model?: string | undefined;
  /** The system message put before each prompt. Only {@link messageEndpoints} take one. */
  readonly system?: string | undefined;
  /** Further parameters of the body, such as `max_tokens`. */
  readonly params?: Readonly<Record<string, unknown>> | undefined;
  /** Default: `/v1/chat/completions`. */
  readonly endpoint?: Endpoint | undefined;
}

/** The endpoints that take messages, and so a system message and images too. */
export const messageEndpoints: ReadonlySet<Endpoint> = new Set(['/v1/chat/completions', '/v1/responses']);

type Fields = Readonly<Record<string, unknown>>;

const inInput = ({ prompt = '' }: Prompt): Fields => ({ input: prompt });
const inPrompt = ({ prompt = '' }: Prompt): Fields => ({ prompt });

/** The fields of a body that hold a prompt, as each endpoint spells them. */
const promptFields: Readonly<Record<Endpoint, (prompt: Prompt, system: string | undefined) => Fields>> = {
  '/v1/chat/completions': ({ prompt = '', messages }, system) => {
    const turns = messages ?? [{ role: 'user', content: prompt }];
    return { messages: system === undefined ? turns : [{ role: 'system', content: system }, ...turns] };
  },
  '/v1/responses': ({ prompt = '', messages }, system) => ({
    ...(system === undefined ? {} : { instructions: system }),
    input: messages ?? prompt,
  }),
  '/v1/completions': inPrompt,
  '/v1/embeddings': inInput,
  '/v1/moderations': inInput,
  '/v1/images/generations': inPrompt,
  '/v1/images/edits': inPrompt,
};

/**
 * Converts a prompt to an input line of OpenAI's format, without the line ending.
 *
 * @param number the prompt's number, 1-based. It names the request (`request-1`) when the prompt has no custom_id.
 */
export const promptToLine = (prompt: string | Prompt, number: number, defaults: PromptDefaults): string => {
  const { endpoint = '/v1/chat/completions', params, model, system } = defaults;
  const given: Prompt = typeof prompt === 'string' ? { prompt } : prompt;
  return JSON.stringify({
    custom_id: given.custom_id ?? `request-${number}`,
    method: 'POST',
    url: endpoint,
    body: { ...params, model: given.model ?? model, ...promptFields[endpoint](given, system) },
  });
};
