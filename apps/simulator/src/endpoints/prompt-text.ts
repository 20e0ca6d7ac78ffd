import { isJsonObject } from '@promptmill/core';
import { invalidParameter, missingParameter } from '../api-error.ts';

export interface PromptText {
  /** All texts of the prompt, a line each. */
  readonly whole: string;
  /** The last text that came from the user; empty when none did. */
  readonly lastUser: string;
  /** Whether there is an earlier answer in it. */
  readonly hasAnswer?: boolean;
  /** The JSON schema that the answer has to match. */
  readonly schema?: unknown;
}

/**
 * Reads `messages` or a list of input items. Content that is not text is ignored.
 * @param param the parameter's name, for the error.
 * @throws ApiError 400 when it is not a list of objects with at least one entry.
 */
export function readMessages(value: unknown, param: string): PromptText {
  if (value === undefined || value === null) throw missingParameter(param);
  if (!Array.isArray(value) || value.length === 0 || !value.every(isJsonObject)) {
    throw invalidParameter(param, 'a list of messages, at least one');
  }
  const texts: string[] = [];
  let lastUser = '';
  let hasAnswer = false;
  for (const { role, content } of value) {
    const text = readContent(content);
    texts.push(text);
    if (role === 'user') lastUser = text;
    if (role === 'assistant') hasAnswer = true;
  }
  return { whole: texts.join('\n'), lastUser, hasAnswer };
}

/**
 * Reads `prompt` or `input`: a text, a list of texts, or the same as token numbers. Returns an entry for each text.
 * @throws ApiError 400 for anything else.
 */
export function readTexts(value: unknown, param: string): string[] {
  if (value === undefined || value === null) throw missingParameter(param);
  if (typeof value === 'string') return [value];
  if (Array.isArray(value) && value.length > 0) {
    if (value.every((entry) => typeof entry === 'string')) return value;
    if (value.every(Number.isInteger)) return [value.join(' ')];
    if (value.every((entry) => Array.isArray(entry) && entry.every(Number.isInteger))) {
      return value.map((entry: number[]) => entry.join(' '));
    }
  }
  throw invalidParameter(param, 'a text, a list of texts, or token numbers');
}

function readContent(content: unknown): string {
  if (typeof content === 'string') return content;
  if (!Array.isArray(content)) return '';
  return content
    .map((part: unknown) => (isJsonObject(part) && typeof part['text'] === 'string' ? part['text'] : ''))
    .join('');
}
