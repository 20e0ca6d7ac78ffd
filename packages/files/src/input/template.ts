import type { JsonObject } from '@promptmill/core';
import { InputError } from './input-error.ts';

/** A text with places for the values of columns. */
export interface Template {
  readonly parts: readonly (string | { readonly column: string })[];
}

const place = /\{\{([^{}]+)\}\}/;

/**
 * Parses a template: `{{column}}` stands for the value of a column, all else for itself.
 *
 * @param option the option that has the template, for messages.
 * @throws InputError `template_invalid` when a `{{` belongs to no column. A `}}` alone may be the end of some JSON.
 */
export const parseTemplate = (text: string, option: string): Template => {
  const parts = text.split(place).map((part, index) => (index % 2 === 0 ? part : { column: part.trim() }));
  for (const part of parts) {
    if (typeof part === 'string' ? part.includes('{{') : part.column === '')
      throw new InputError('template_invalid', `${option}: a {{ begins no {{column}}`);
  }
  return { parts: parts.filter((part) => part !== '') };
};

/** The text that stands for a value: nothing for null, JSON for an object or array. */
export const textOfValue = (value: unknown): string => {
  if (typeof value === 'string') return value;
  return value === null || value === undefined ? '' : JSON.stringify(value);
};

export type FilledTemplate = { readonly text: string } | { readonly missing: string } | { readonly tooLong: true };

/**
 * Puts a row's values into a template. What the values hold is data, `{{` too.
 *
 * @param maxLength in UTF-16 code units; a template may name a long value many times.
 */
export const fillTemplate = ({ parts }: Template, values: JsonObject, maxLength: number): FilledTemplate => {
  let text = '';
  for (const part of parts) {
    if (typeof part === 'string') text += part;
    else if (Object.hasOwn(values, part.column)) text += textOfValue(values[part.column]);
    else return { missing: part.column };
    if (text.length > maxLength) return { tooLong: true };
  }
  return { text };
};
