import type { IncomingMessage } from 'node:http';
import { ApiError } from '@promptmill/core';
import type { z } from 'zod';

type Issue = z.core.$ZodIssue;

interface Problem {
  readonly message: string;
  readonly code: string;
  readonly param: string | null;
}

/** `prompts[3].messages`, as OpenAI writes it; null for the whole body. */
const paramOf = (path: readonly PropertyKey[]): string | null => {
  let text = '';
  for (const key of path) text += typeof key === 'number' ? `[${key}]` : `${text && '.'}${String(key)}`;
  return text || null;
};

const kinds: Readonly<Record<string, string>> = { string: 'string', array: 'array', number: 'integer', int: 'integer' };

const sizeCode = (origin: string, end: 'below_min' | 'above_max'): string => {
  const kind = kinds[origin] ?? 'object';
  return `${kind}_${end}_${kind === 'integer' ? 'value' : 'length'}`;
};

/** A longer value is not repeated in the message. */
const maxShownCharacters = 64;

const problemOf = (issue: Issue): Problem => {
  const param = paramOf(issue.path);
  const at = param === null ? 'the request body' : `'${param}'`;
  switch (issue.code) {
    case 'unrecognized_keys': {
      const name = paramOf([...issue.path, issue.keys[0] ?? '']);
      return { message: `Unknown parameter: '${name}'.`, code: 'unknown_parameter', param: name };
    }
    case 'invalid_type':
      if (issue.input === undefined) return missingParameter(param);
      return { message: `Invalid type for ${at}: expected ${issue.expected}.`, code: 'invalid_type', param };
    case 'invalid_value': {
      if (issue.input === undefined) return missingParameter(param);
      const values = issue.values.map((value) => `'${String(value)}'`).join(', ');
      const { input } = issue;
      const given = typeof input === 'string' && input.length <= maxShownCharacters ? `: '${input}'` : ` for ${at}`;
      return { message: `Invalid value${given}. Supported values are: ${values}.`, code: 'invalid_value', param };
    }
    case 'too_small':
      return { message: `Invalid ${at}: ${issue.message}.`, code: sizeCode(issue.origin, 'below_min'), param };
    case 'too_big':
      return { message: `Invalid ${at}: ${issue.message}.`, code: sizeCode(issue.origin, 'above_max'), param };
    case 'invalid_key':
      return { message: `Invalid ${at}: ${issue.issues[0]?.message}.`, code: 'invalid_value', param };
    default:
      return { message: `Invalid ${at}: ${issue.message}.`, code: 'invalid_value', param };
  }
};

const missingParameter = (param: string | null): Problem => ({
  message: param === null ? 'The request has no JSON body.' : `Missing required parameter: '${param}'.`,
  code: 'missing_required_parameter',
  param,
});

/** A 400 that names one parameter. */
export const badRequest = ({ message, code, param }: Problem): ApiError => new ApiError(400, message, { code, param });

/** Parses a part of a request. Throws a 400 for the first wrong parameter. */
export const checkRequest = <T extends z.ZodType>(schema: T, value: unknown): z.output<T> => {
  const checked = schema.safeParse(value, { reportInput: true });
  if (checked.success) return checked.data;
  const [issue] = checked.error.issues;
  throw issue ? badRequest(problemOf(issue)) : checked.error;
};

/** Whether a request has a body, JSON or not. */
export const hasContent = ({ headers }: Pick<IncomingMessage, 'headers'>): boolean =>
  headers['transfer-encoding'] !== undefined || Number(headers['content-length'] ?? 0) > 0;
