import { field, isJsonObject } from '@promptmill/core';
import type { PromptText } from './prompt-text.ts';

const maxDepth = 20;

/**
 * A simple value that matches a schema of types, properties, items and enums.
 *
 * @param choice which of an enum's values it has.
 */
const valueOf = (schema: unknown, choice: number, depth = maxDepth): unknown => {
  if (depth === 0) return null;
  const allowed = field(schema, 'enum');
  if (Array.isArray(allowed)) return allowed[choice % allowed.length];
  if (field(schema, 'const') !== undefined) return field(schema, 'const');
  const types = field(schema, 'type');
  switch (Array.isArray(types) ? types[0] : types) {
    case 'object': {
      const properties = field(schema, 'properties');
      const entries = isJsonObject(properties) ? Object.entries(properties) : [];
      return Object.fromEntries(entries.map(([name, of]) => [name, valueOf(of, choice, depth - 1)]));
    }
    case 'array':
      return [valueOf(field(schema, 'items'), choice, depth - 1)];
    case 'integer':
    case 'number':
      return field(schema, 'minimum') ?? 1;
    case 'boolean':
      return true;
    case 'null':
      return null;
    default:
      return 'text';
  }
};

/**
 * Answers with JSON that matches the schema of the request; of an enum's values the prompt's length chooses one. With
 * `[[sim:mismatch=first]]` in the prompt the answer is other JSON as long as the conversation holds none; with
 * `[[sim:mismatch=always]]` every answer is.
 */
export const writeJson = ({ whole, hasAnswer, schema }: PromptText): string => {
  const isWrong = whole.includes('[[sim:mismatch=always]]') || (whole.includes('[[sim:mismatch=first]]') && !hasAnswer);
  return JSON.stringify(isWrong ? { wrong: [1] } : valueOf(schema, whole.length));
};
