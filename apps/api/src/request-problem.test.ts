import { describe, expect, it } from 'vitest';
import { z } from 'zod';
import { queryInteger } from './api-schemas.ts';
import { checkRequest } from './request-problem.ts';

const schema = z.strictObject({
  purpose: z.enum(['batch', 'batch_output']),
  limit: queryInteger(1, 100, 20),
  prompts: z.array(z.strictObject({ content: z.string().max(3) })).optional(),
});

describe('names the first wrong parameter', () => {
  it.each([
    [{}, 'missing_required_parameter', 'purpose', "Missing required parameter: 'purpose'."],
    [
      { purpose: 'x' },
      'invalid_value',
      'purpose',
      "Invalid value: 'x'. Supported values are: 'batch', 'batch_output'.",
    ],
    [
      { purpose: 'x'.repeat(65) },
      'invalid_value',
      'purpose',
      "Invalid value for 'purpose'. Supported values are: 'batch', 'batch_output'.",
    ],
    [{ purpose: 'batch', colour: 1 }, 'unknown_parameter', 'colour', "Unknown parameter: 'colour'."],
    [{ purpose: 'batch', limit: '0' }, 'integer_below_min_value', 'limit', expect.stringContaining('>=1')],
    [{ purpose: 'batch', limit: '101' }, 'integer_above_max_value', 'limit', expect.stringContaining('<=100')],
    [{ purpose: 'batch', limit: 'x' }, 'invalid_type', 'limit', expect.stringContaining('expected number')],
    [{ purpose: 'batch', limit: '1.5' }, 'invalid_type', 'limit', expect.stringContaining('expected int')],
    [
      { purpose: 'batch', prompts: [{ content: 'a' }, { content: 'long' }] },
      'string_above_max_length',
      'prompts[1].content',
      expect.any(String),
    ],
    [
      { purpose: 'batch', prompts: [{ content: 'a', more: 1 }] },
      'unknown_parameter',
      'prompts[0].more',
      expect.any(String),
    ],
    [undefined, 'missing_required_parameter', null, 'The request has no JSON body.'],
    [[], 'invalid_type', null, 'Invalid type for the request body: expected object.'],
  ])('%j', (value, code, param, message) => {
    expect(() => checkRequest(schema, value)).toThrow(expect.objectContaining({ status: 400, code, param, message }));
  });
});

it('returns the parsed value', () => {
  expect(checkRequest(schema, { purpose: 'batch', limit: '7' })).toEqual({ purpose: 'batch', limit: 7 });
  expect(checkRequest(schema, { purpose: 'batch' })).toEqual({ purpose: 'batch', limit: 20 });
});
