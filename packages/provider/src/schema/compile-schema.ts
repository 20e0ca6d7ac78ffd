import { type AnswerSchema, isJsonObject } from '@promptmill/core';
import { Ajv, type ErrorObject, type Options } from 'ajv';
import { Ajv2020 } from 'ajv/dist/2020.js';
import ajvFormats from 'ajv-formats';

/** Says what is wrong with a text; nothing when it is JSON that matches. */
type FindFaults = (text: string) => readonly string[];

export type CompiledSchema = { readonly findFaults: FindFaults } | { readonly invalid: string };

/** Schemas come from anybody: words that no draft knows are left out, and nothing is logged. */
const options: Options = { strict: false, allErrors: true, logger: false };
const addFormats = ajvFormats.default;
const drafts = {
  7: { open: (more: Options) => addFormats(new Ajv({ ...options, ...more })) },
  2020: { open: (more: Options) => addFormats(new Ajv2020({ ...options, ...more })) },
};
const metaSchemas = { 7: drafts[7].open({ allErrors: false }), 2020: drafts[2020].open({ allErrors: false }) };

const maxListedFaults = 10;
const maxFaultLength = 300;

/** A fault in words: where in the document it is, as a JSON pointer, and what. */
const describe = ({ instancePath, message = 'is wrong', params }: ErrorObject): string => {
  const { additionalProperty, allowedValues } = params as { additionalProperty?: string; allowedValues?: unknown[] };
  const more =
    additionalProperty !== undefined
      ? `: ${additionalProperty}`
      : allowedValues !== undefined
        ? `: ${JSON.stringify(allowedValues)}`
        : '';
  return `${instancePath || 'the whole'} ${message}${more}`.slice(0, maxFaultLength);
};

const messageOf = (error: unknown): string => (error as Error).message.slice(0, maxFaultLength);

const createFindFaults =
  (validate: { (value: unknown): unknown; errors?: ErrorObject[] | null }): FindFaults =>
  (text) => {
    let value: unknown;
    try {
      value = JSON.parse(text);
    } catch (error) {
      return [`it is not JSON: ${messageOf(error)}`];
    }
    if (validate(value) === true) return [];
    return [...new Set(validate.errors?.map(describe))].slice(0, maxListedFaults);
  };

/**
 * Compiles a JSON Schema of draft 2020-12, or of draft-07 when its `$schema` says so. References lead to places in the
 * schema itself only. It may take long, and so may the function: see `schema-checker.ts`.
 */
export const compileSchema = (schema: AnswerSchema): CompiledSchema => {
  // An asynchronous schema would answer with a promise.
  const { $schema, $async: _, ...rest } = isJsonObject(schema) ? schema : {};
  const draft = typeof $schema === 'string' && /draft-0[67]/.test($schema) ? 7 : 2020;
  const wanted = isJsonObject(schema) ? rest : schema;
  try {
    const meta = metaSchemas[draft];
    if (meta.validateSchema(wanted) !== true)
      return { invalid: meta.errors?.[0] ? describe(meta.errors[0]) : 'it is no JSON Schema' };
    // An instance of its own: what a schema names by `$id` must not be found by another.
    return { findFaults: createFindFaults(drafts[draft].open({ meta: false, validateSchema: false }).compile(wanted)) };
  } catch (error) {
    return { invalid: messageOf(error) };
  }
};
