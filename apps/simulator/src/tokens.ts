export const charsPerToken = 4;

/** A stable estimate, not a tokenizer: one token for every four UTF-16 code units, rounded up. */
export function countTokens(text: string): number {
  return Math.ceil(text.length / charsPerToken);
}

export interface LimitedText {
  readonly text: string;
  readonly tokens: number;
  /** `length` when the text was cut, as in a completion's `finish_reason`. */
  readonly finishReason: 'stop' | 'length';
}

/** Cuts a text to at most `maxTokens` by {@link countTokens}, never through a surrogate pair. */
export function limitTokens(text: string, maxTokens: number | undefined): LimitedText {
  const tokens = countTokens(text);
  if (maxTokens === undefined || tokens <= maxTokens) return { text, tokens, finishReason: 'stop' };
  const cut = text.slice(0, maxTokens * charsPerToken).replace(/[\uD800-\uDBFF]$/, '');
  return { text: cut, tokens: countTokens(cut), finishReason: 'length' };
}
