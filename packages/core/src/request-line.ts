import { type Endpoint, endpoints, isEndpoint } from './endpoints.ts';
import { isDeeperThan, isJsonObject, mayBeDeeperThan, type JsonObject } from './json.ts';

export const maxCustomIdLength = 512;
export const maxModelLength = 256;
/** How deep a line may nest objects and arrays. JSON.stringify fails at some thousands. */
export const maxLineDepth = 100;

/** The body of a request. The provider gets it with its own name for the model. */
export type RequestBody = Readonly<JsonObject> & { readonly model: string };

/** One line of an input file. Source: https://platform.openai.com/docs/api-reference/batch/request-input */
export interface RequestLine {
  readonly customId: string;
  readonly url: Endpoint;
  readonly body: RequestBody;
}

export interface LineProblem {
  readonly code: string;
  readonly message: string;
  readonly param: string | null;
}

export type ParsedLine =
  | { readonly ok: true; readonly request: RequestLine }
  | { readonly ok: false; readonly problem: LineProblem };

const problem = (code: string, message: string, param: string | null = null): ParsedLine => ({
  ok: false,
  problem: { code, message, param },
});

const attachmentTypes = new Set(['file', 'input_file']);

const hasAttachment = (messages: unknown): boolean =>
  Array.isArray(messages) &&
  messages.some(
    (message: unknown) =>
      isJsonObject(message) &&
      Array.isArray(message['content']) &&
      message['content'].some(
        (part: unknown) => isJsonObject(part) && typeof part['type'] === 'string' && attachmentTypes.has(part['type']),
      ),
  );

/** Says what is wrong with the body of a request. */
export const checkRequestBody = (body: unknown): LineProblem | undefined => {
  if (body === undefined) return missing('body');
  if (!isJsonObject(body)) return { code: 'invalid_type', message: '`body` must be an object.', param: 'body' };
  if (body['model'] === undefined) return missing('body.model');
  if (typeof body['model'] !== 'string' || body['model'] === '')
    return { code: 'invalid_type', message: '`body.model` must be a non-empty string.', param: 'body.model' };
  if (body['model'].length > maxModelLength)
    return {
      code: 'string_above_max_length',
      message: `\`body.model\` has ${body['model'].length} characters; it may have ${maxModelLength}.`,
      param: 'body.model',
    };
  // xAI: requests with file attachments are agentic and do not support n > 1.
  // Source: https://docs.x.ai/docs/guides/async
  if (
    typeof body['n'] === 'number' &&
    body['n'] > 1 &&
    (hasAttachment(body['messages']) || hasAttachment(body['input']))
  )
    return { code: 'unsupported_value', message: '`n` must be 1 when a file is attached.', param: 'body.n' };
  return undefined;
};

const missing = (param: string): LineProblem => ({
  code: 'missing_required_parameter',
  message: `Missing required parameter: \`${param}\`.`,
  param,
});

/**
 * Reads a line that passed the check at its upload; undefined when the text cannot be such a line. It checks again only
 * what a request cannot do without.
 */
export const readCheckedLine = (text: string): RequestLine | undefined => {
  try {
    const value: unknown = JSON.parse(text);
    if (!isJsonObject(value)) return undefined;
    const { custom_id: customId, url, body } = value;
    if (typeof customId !== 'string' || !isEndpoint(url) || !isJsonObject(body)) return undefined;
    return typeof body['model'] === 'string' ? { customId, url, body: body as RequestBody } : undefined;
  } catch {
    return undefined;
  }
};

/** Parses and checks one line of an input file. It never throws: what is wrong comes back as a problem. */
export const parseRequestLine = (text: string): ParsedLine => {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return problem('invalid_json_line', 'This line is not parseable as valid JSON.');
  }
  if (!isJsonObject(value)) return problem('invalid_json_line', 'Each line must be a JSON object.');
  if (mayBeDeeperThan(text, maxLineDepth) && isDeeperThan(value, maxLineDepth))
    return problem('invalid_json_line', `This line nests objects and arrays more than ${maxLineDepth} deep.`);
  const { custom_id: customId, method, url, body } = value;
  if (customId === undefined) return { ok: false, problem: missing('custom_id') };
  if (typeof customId !== 'string' || customId === '')
    return problem('invalid_type', '`custom_id` must be a non-empty string.', 'custom_id');
  if (customId.length > maxCustomIdLength)
    return problem(
      'string_above_max_length',
      `\`custom_id\` has ${customId.length} characters; it may have ${maxCustomIdLength}.`,
      'custom_id',
    );
  if (method === undefined) return { ok: false, problem: missing('method') };
  if (method !== 'POST') return problem('invalid_method', '`method` must be "POST".', 'method');
  if (url === undefined) return { ok: false, problem: missing('url') };
  if (!isEndpoint(url)) return problem('invalid_url', `\`url\` must be one of ${endpoints.join(', ')}.`, 'url');
  const bodyProblem = checkRequestBody(body);
  if (bodyProblem) return { ok: false, problem: bodyProblem };
  return { ok: true, request: { customId, url, body: body as RequestBody } };
};
