import { basename } from 'node:path';
import { type AnswerSchema, type Endpoint, field, isJsonObject, type JsonObject, schemaFields } from '@promptmill/core';
import { createSchemaChecker } from '@promptmill/provider';
import { CliError } from '../cli-error.ts';
import { readText } from './read-text.ts';

/** A schema, and the name by which a provider knows it. */
export interface NamedSchema {
  readonly name: string;
  readonly schema: AnswerSchema;
}

const invalid = (message: string): CliError => new CliError('options_invalid', message);

/** Letters, digits, `_` and `-`, 64 at most. Source: https://platform.openai.com/docs/guides/structured-outputs */
const nameOf = (option: string): string => {
  const name = option.startsWith('@') ? basename(option.slice(1)).replace(/\..*$/, '') : '';
  return name.replaceAll(/[^\w-]/g, '_').slice(0, 64) || 'answer';
};

/**
 * Reads `--schema`, and checks that it is a JSON Schema.
 *
 * @throws CliError `options_invalid` with the place of what is wrong.
 */
export const readSchema = async (option: string | undefined): Promise<NamedSchema | undefined> => {
  const text = await readText('--schema', option);
  if (option === undefined || text === undefined) return undefined;
  const place = option.startsWith('@') ? `--schema ${option}` : '--schema';
  let schema: unknown;
  try {
    schema = JSON.parse(text);
  } catch (error) {
    throw invalid(`${place} is not JSON: ${(error as Error).message}`);
  }
  const checker = createSchemaChecker();
  try {
    const verdict = await checker.check({ tenant: '', schema });
    if (verdict.kind === 'invalid') throw invalid(`${place} is no JSON Schema: ${verdict.fault}`);
    if (verdict.kind !== 'ok') throw invalid(`${place} takes too long to check`);
  } finally {
    await checker.close();
  }
  return { name: nameOf(option), schema: schema as AnswerSchema };
};

/**
 * Adds a schema to the further fields of each body.
 *
 * @throws CliError `options_invalid` when they name a format already.
 */
export const withSchema = (
  params: JsonObject = {},
  endpoint: Endpoint = '/v1/chat/completions',
  { name, schema }: NamedSchema,
): JsonObject => {
  const fields = schemaFields(endpoint, name, schema);
  if (params['response_format'] !== undefined || field(params['text'], 'format') !== undefined)
    throw invalid('--schema sets the format of answers: leave it out of --param and --params');
  const { text } = params;
  return isJsonObject(text) && isJsonObject(fields['text'])
    ? { ...params, text: { ...text, ...fields['text'] } }
    : { ...params, ...fields };
};
