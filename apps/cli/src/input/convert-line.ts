import { isJsonObject, parseRequestLine, promptToLine, type PromptDefaults, type RequestLine } from '@promptmill/core';

/** How an input is read: `text` has a prompt on each line, `jsonl` a JSON object. */
export type InputFormat = 'text' | 'jsonl';

export type ConvertedLine =
  | { readonly kind: 'blank' }
  | { readonly kind: 'request'; readonly line: string; readonly request: RequestLine }
  | { readonly kind: 'problem'; readonly message: string };

const problem = (message: string): ConvertedLine => ({ kind: 'problem', message });

export interface LineDefaults extends PromptDefaults {
  /** Whether to stream every request, whatever its line says. Default: false. */
  readonly stream?: boolean | undefined;
}

export interface ConvertLineOptions {
  /** The line's number, 1-based. It names the request (`request-1`) when the line gives no custom_id. */
  readonly number: number;
  readonly format: InputFormat;
  readonly defaults: LineDefaults;
}

const promptLine = (prompt: string | Record<string, unknown>, number: number, { stream, ...defaults }: LineDefaults) =>
  promptToLine(prompt, number, stream ? { ...defaults, params: { ...defaults.params, stream } } : defaults);

const promptKeys = new Set(['custom_id', 'model', 'prompt', 'messages']);

const promptProblem = (value: Record<string, unknown>): string | undefined => {
  const unknownKey = Object.keys(value).find((key) => !promptKeys.has(key));
  if (unknownKey !== undefined)
    return `unknown key \`${unknownKey}\`: a prompt takes custom_id, model, and prompt or messages; anything more needs OpenAI's line format, with a body`;
  const { prompt, messages } = value;
  if ((prompt === undefined) === (messages === undefined))
    return 'expected {"prompt": …}, {"messages": […]}, or OpenAI\'s {"custom_id", "method", "url", "body"}';
  if (prompt !== undefined && typeof prompt !== 'string') return '`prompt` must be a string.';
  if (messages !== undefined && !Array.isArray(messages)) return '`messages` must be an array.';
  return undefined;
};

/** Adds what a line of OpenAI's format lacks: custom_id, method, model, stream. A complete line stays as it is. */
const completeLine = (
  text: string,
  value: Record<string, unknown>,
  { number, defaults: { model, stream } }: ConvertLineOptions,
): string => {
  const { body } = value;
  const wantsModel = isJsonObject(body) && body['model'] === undefined && model !== undefined;
  const wantsStream = isJsonObject(body) && body['stream'] !== true && stream === true;
  if (!wantsModel && !wantsStream && value['custom_id'] !== undefined && value['method'] !== undefined) return text;
  return JSON.stringify({
    custom_id: `request-${number}`,
    method: 'POST',
    ...value,
    ...(isJsonObject(body)
      ? { body: { ...(wantsModel ? { model } : {}), ...body, ...(wantsStream ? { stream } : {}) } }
      : {}),
  });
};

const checked = (line: string): ConvertedLine => {
  const parsed = parseRequestLine(line);
  if (parsed.ok) return { kind: 'request', line, request: parsed.request };
  const { code, param, message } = parsed.problem;
  return code === 'missing_required_parameter' && param === 'body.model'
    ? problem('no model: add --model provider/model (to try it without a key: --model simulator/echo)')
    : problem(message);
};

/**
 * Turns one line of a user's input into a line of OpenAI's format.
 *
 * @param text without its line ending.
 */
export const convertLine = (text: string, options: ConvertLineOptions): ConvertedLine => {
  const { number, format, defaults } = options;
  const trimmed = text.trim();
  if (trimmed === '') return { kind: 'blank' };
  if (format === 'text') return checked(promptLine(trimmed, number, defaults));
  let value: unknown;
  try {
    value = JSON.parse(trimmed);
  } catch {
    return problem('not valid JSON: each line must be one JSON object');
  }
  if (!isJsonObject(value)) return problem('each line must be a JSON object');
  if (!('body' in value) && !('url' in value)) {
    const message = promptProblem(value);
    return message === undefined ? checked(promptLine(value, number, defaults)) : problem(message);
  }
  if (defaults.system !== undefined || defaults.params !== undefined)
    return problem(
      '--system, --max-tokens and --temperature apply to prompts only: this line has a body, set them there',
    );
  return checked(completeLine(trimmed, value, options));
};
