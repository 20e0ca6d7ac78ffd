import type { RequestBody } from '@promptmill/core';

/** What a model reads, in the order in which it reads it. */
const parts = ['tools', 'instructions', 'response_format', 'text', 'messages', 'prompt', 'input'] as const;

/**
 * The first characters of what a model reads of a request, the same for two requests that begin alike. Undefined when it
 * has fewer. It looks at no more of the body than that.
 */
export const promptStartOf = (body: RequestBody, characters: number): string | undefined => {
  let start = '';
  /** Resolves with whether more is wanted. */
  const add = (value: unknown): boolean => {
    if (typeof value === 'object' && value !== null) {
      for (const item of Array.isArray(value) ? value : Object.values(value)) if (!add(item)) return false;
      return true;
    }
    const text = typeof value === 'string' ? value : JSON.stringify(value);
    if (text !== undefined) start += `${text.slice(0, characters - start.length)}\n`;
    return start.length < characters;
  };
  for (const part of parts) if (!add(body[part])) return start;
  return undefined;
};
