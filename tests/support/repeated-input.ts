/** Of five requests in a row two repeat others: one that came right before, and one that came up to 50 requests before. */
export const firstOf = (index: number): number => {
  if (index % 5 === 3) return index - 3;
  return index % 5 === 4 ? 50 * Math.floor(index / 50) : index;
};

export interface RepeatedInput {
  readonly content: string;
  /** How many different questions it asks. */
  readonly questions: number;
}

/**
 * An input of which 40 % repeats others. Lines that ask the same differ in the order of their members.
 *
 * @param promptOf of each different question
 */
export const repeatedInput = (
  count: number,
  promptOf: (index: number) => string = (index) => `Say ${index}`,
  model = 'simulator/echo',
): RepeatedInput => {
  const indexes = Array.from({ length: count }, (_, index) => index);
  const lines = indexes.map((index) => {
    const messages = [{ role: 'user', content: promptOf(firstOf(index)) }];
    const body = index === firstOf(index) ? { model, messages, temperature: 0 } : { temperature: 0, messages, model };
    return `${JSON.stringify({ custom_id: `request-${index}`, method: 'POST', url: '/v1/chat/completions', body })}\n`;
  });
  return { content: lines.join(''), questions: new Set(indexes.map(firstOf)).size };
};
