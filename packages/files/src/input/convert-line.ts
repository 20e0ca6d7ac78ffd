import { isJsonObject, messageEndpoints, parseRequestLine, promptToLine, type RequestLine } from '@promptmill/core';
import { type Advice, apiAdvice } from './advice.ts';
import type { Composition } from './composition.ts';
import type { InputFormat } from './input-format.ts';

export type Converted =
  | { readonly kind: 'blank' }
  | { readonly kind: 'request'; readonly line: string; readonly request: RequestLine }
  | { readonly kind: 'problem'; readonly message: string };

export const problem = (message: string): Converted => ({ kind: 'problem', message });

export interface ConvertLineOptions {
  /** The line's number, 1-based. It names the request (`request-1`) when the line gives no custom_id. */
  readonly number: number;
  readonly format: InputFormat;
  readonly composition: Composition;
  /** Default: in the words of the API. */
  readonly advice?: Advice | undefined;
}

type PromptArguments = Parameters<typeof promptToLine>;

/** A prompt as a line of OpenAI's format, checked. */
export const convertPrompt = (
  prompt: PromptArguments[0],
  { number, composition: { stream, ...defaults }, advice }: Omit<ConvertLineOptions, 'format'>,
): Converted => {
  const params = stream ? { params: { ...defaults.params, stream } } : {};
  return checked(promptToLine(prompt, number, { ...defaults, ...params }), advice);
};

const promptKeys = new Set(['custom_id', 'model', 'prompt', 'messages']);

const promptProblem = (
  value: Record<string, unknown>,
  { composition: { endpoint }, advice = apiAdvice }: ConvertLineOptions,
): string | undefined => {
  const unknownKey = Object.keys(value).find((key) => !promptKeys.has(key));
  if (unknownKey !== undefined)
    return `unknown key \`${unknownKey}\`: a prompt takes custom_id, model, and prompt or messages; ${advice.prompt(unknownKey)} makes a prompt of it, and OpenAI's line format has a body for anything more`;
  const { prompt, messages } = value;
  if ((prompt === undefined) === (messages === undefined))
    return 'expected {"prompt": …}, {"messages": […]}, or OpenAI\'s {"custom_id", "method", "url", "body"}';
  if (prompt !== undefined && typeof prompt !== 'string') return '`prompt` must be a string.';
  if (messages !== undefined && !Array.isArray(messages)) return '`messages` must be an array.';
  if (messages !== undefined && endpoint !== undefined && !messageEndpoints.has(endpoint))
    return `\`messages\` do not go to ${endpoint}: it takes a \`prompt\``;
  return undefined;
};

/** Adds what a line of OpenAI's format lacks: custom_id, method, model, stream. A complete line stays as it is. */
const completeLine = (
  text: string,
  value: Record<string, unknown>,
  { number, composition: { model, stream } }: ConvertLineOptions,
): string => {
  const { body } = value;
  const wantsModel = isJsonObject(body) && body['model'] === undefined && model !== undefined;
  const wantsStream = isJsonObject(body) && body['stream'] !== true && stream === true;
  if (!wantsModel && !wantsStream && value['custom_id'] !== undefined && value['method'] !== undefined)
    return /[\r\n]/.test(text) ? JSON.stringify(value) : text;
  return JSON.stringify({
    custom_id: `request-${number}`,
    method: 'POST',
    ...value,
    ...(isJsonObject(body)
      ? { body: { ...(wantsModel ? { model } : {}), ...body, ...(wantsStream ? { stream } : {}) } }
      : {}),
  });
};

const checked = (line: string, advice = apiAdvice): Converted => {
  const parsed = parseRequestLine(line);
  if (parsed.ok) return { kind: 'request', line, request: parsed.request };
  const { code, param, message } = parsed.problem;
  return code === 'missing_required_parameter' && param === 'body.model'
    ? problem(`no model: ${advice.model}`)
    : problem(message);
};

export type ParsedText = { readonly value: unknown } | { readonly message: string };

/** Parses what a `jsonl` line or an element of a `json` array holds. */
export const parseJson = (text: string, format: InputFormat): ParsedText => {
  try {
    const value: unknown = JSON.parse(text);
    if (isJsonObject(value) || (format === 'json' && typeof value === 'string')) return { value };
    return { message: format === 'json' ? 'neither a string nor an object' : 'each line must be a JSON object' };
  } catch {
    return { message: format === 'json' ? 'not valid JSON' : 'not valid JSON: each line must be one JSON object' };
  }
};

/**
 * Turns one line of a user's input, or one element of a JSON array, into a line of OpenAI's format.
 *
 * @param text without its line ending.
 */
export const convertLine = (text: string, options: ConvertLineOptions): Converted => {
  const { format, composition, advice = apiAdvice } = options;
  const trimmed = text.trim();
  if (trimmed === '') return { kind: 'blank' };
  if (format === 'text') return convertPrompt(trimmed, options);
  const parsed = parseJson(trimmed, format);
  if ('message' in parsed) return problem(parsed.message);
  const { value } = parsed;
  if (!isJsonObject(value)) return convertPrompt(String(value), options);
  if (!('body' in value) && !('url' in value)) {
    const message = promptProblem(value, options);
    return message === undefined ? convertPrompt(value, options) : problem(message);
  }
  const { system, params, endpoint } = composition;
  if (system !== undefined || params !== undefined || endpoint !== undefined)
    return problem(`this line has a body: set there what ${advice.settings} set for prompts`);
  return checked(completeLine(trimmed, value, options), advice);
};
