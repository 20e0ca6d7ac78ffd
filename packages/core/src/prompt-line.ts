/** A prompt as a person writes it, when it is more than its text. */
export interface Prompt {
  readonly custom_id?: string | undefined;
  readonly prompt?: string | undefined;
  readonly messages?: readonly unknown[] | undefined;
  readonly model?: string | undefined;
}

export interface PromptDefaults {
  readonly model?: string | undefined;
  /** The system message put before each prompt. */
  readonly system?: string | undefined;
  /** Further parameters of the body, such as `max_tokens`. */
  readonly params?: Readonly<Record<string, unknown>> | undefined;
}

/**
 * Converts a prompt to an input line of OpenAI's format, without the line ending.
 *
 * @param number the prompt's number, 1-based. It names the request (`request-1`) when the prompt has no custom_id.
 */
export const promptToLine = (prompt: string | Prompt, number: number, defaults: PromptDefaults): string => {
  const {
    custom_id: customId,
    prompt: text,
    messages,
    model,
  }: Prompt = typeof prompt === 'string' ? { prompt } : prompt;
  const turns = messages ?? [{ role: 'user', content: text }];
  return JSON.stringify({
    custom_id: customId ?? `request-${number}`,
    method: 'POST',
    url: '/v1/chat/completions',
    body: {
      ...defaults.params,
      model: model ?? defaults.model,
      messages: defaults.system === undefined ? turns : [{ role: 'system', content: defaults.system }, ...turns],
    },
  });
};
