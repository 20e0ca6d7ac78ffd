/**
 * What messages about an input tell people to do. The command line and the API have other names for what people set, so
 * each says it in its own words.
 */
export interface Advice {
  /** How to give a model to requests that name none: `no model: …`. */
  readonly model: string;
  /** What makes a prompt of a column. */
  readonly prompt: (column: string) => string;
  /** What is set for prompts, and not for lines that have a body. */
  readonly settings: string;
  /** How to say in which format a file is. */
  readonly format: string;
}

/** In the words of the API. */
export const apiAdvice: Advice = {
  model: '`model` names one for all requests',
  prompt: (column) => `\`prompt\`, such as 'Classify: {{${column}}}',`,
  settings: '`system`, `endpoint` and `params`',
  format: '`format` says how to read it',
};
