import type { JsonObject } from '@promptmill/core';
import type { Advice } from './advice.ts';
import type { Composition, RowComposition } from './composition.ts';
import { type Converted, convertPrompt, problem } from './convert-line.ts';
import { tooLong } from './input-record.ts';
import { fillTemplate, type Template, textOfValue } from './template.ts';

const listedColumns = 20;

const noColumn = (column: string, values: JsonObject): string => {
  const names = Object.keys(values);
  const rest = names.length > listedColumns ? ' …' : '';
  return `no column \`${column}\`: the columns are ${names.slice(0, listedColumns).join(', ')}${rest}`;
};

/** The content of a user's message that has a text and an image. */
const imageMessage = (text: string, url: string, endpoint: Composition['endpoint']): JsonObject => ({
  role: 'user',
  content:
    endpoint === '/v1/responses'
      ? [
          { type: 'input_text', text },
          { type: 'input_image', image_url: url },
        ]
      : [
          { type: 'text', text },
          { type: 'image_url', image_url: { url } },
        ],
});

export interface ConvertRowOptions {
  /** The row's number, 1-based. It names the request (`request-1`) when no column does. */
  readonly number: number;
  readonly composition: Composition & { readonly rows: RowComposition };
  readonly advice?: Advice | undefined;
  /** A longer request is a problem. */
  readonly maxLineBytes: number;
  /** The URL of the row's image. */
  readonly imageUrl?: string | undefined;
}

/** Turns the values of a row into a line of OpenAI's format. */
export const convertRow = (
  values: JsonObject,
  { number, composition: { rows, ...defaults }, advice, maxLineBytes, imageUrl }: ConvertRowOptions,
): Converted => {
  const { prompt, system, idColumn } = rows;
  const filled = (template: Template) => {
    const result = fillTemplate(template, values, maxLineBytes);
    if ('text' in result) return result;
    return { problem: 'missing' in result ? noColumn(result.missing, values) : tooLong(maxLineBytes) };
  };
  const text = filled(prompt);
  if ('problem' in text) return problem(text.problem);
  const systemText = system && filled(system);
  if (systemText && 'problem' in systemText) return problem(systemText.problem);
  if (idColumn !== undefined && !Object.hasOwn(values, idColumn)) return problem(noColumn(idColumn, values));
  const customId = idColumn === undefined ? undefined : textOfValue(values[idColumn]);
  if (customId === '') return problem(`the column \`${idColumn}\` is empty, and is to name the request`);
  return convertPrompt(
    {
      custom_id: customId,
      ...(imageUrl === undefined
        ? { prompt: text.text }
        : { messages: [imageMessage(text.text, imageUrl, defaults.endpoint)] }),
    },
    { number, composition: { ...defaults, system: systemText?.text }, advice },
  );
};
