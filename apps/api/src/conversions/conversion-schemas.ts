import { endpoints } from '@promptmill/core';
import { inputFormats } from '@promptmill/files';
import { z } from 'zod';
import { modelName, requestParams } from '../batches/create-batch-schemas.ts';
import { fileObject } from '../files/file-schemas.ts';

/** They are in each request. */
const maxTemplateCharacters = 128 * 1024;
const template = z.string().max(maxTemplateCharacters);

export const conversionBody = z
  .strictObject({
    format: z.enum(inputFormats).optional().meta({ description: 'Default: as the name and content of the file say.' }),
    model: modelName.meta({ description: 'The model of requests that name none.', example: 'xai/grok-4.3' }),
    prompt: template
      .min(1)
      .optional()
      .meta({
        description:
          'What to ask of each row, with `{{column}}` in place of its values. A table needs it; without it each line of ' +
          'another file is a prompt or a request of its own.',
        example: 'Rate this review: {{review}}',
      }),
    system: template.optional().meta({ description: 'The system message; with `prompt` it may name columns too.' }),
    id_column: z.string().max(1024).optional().meta({
      description: 'The column that is each `custom_id`; needs `prompt`. Default: `request-1`, `request-2` …',
    }),
    endpoint: z.enum(endpoints).optional().meta({ description: 'Default: `/v1/chat/completions`.' }),
    params: requestParams,
  })
  .refine(({ prompt, id_column: idColumn }) => prompt !== undefined || idColumn === undefined, {
    path: ['id_column'],
    error: 'it names a column, and needs a prompt',
  })
  .meta({ id: 'ConvertFile' });
export type ConversionBody = z.output<typeof conversionBody>;

const problems = z
  .array(z.string())
  .meta({ description: 'What is wrong, each with its first line or row.', example: ['row 7 (line 9): no column `a`'] });

export const filePreview = z
  .object({
    object: z.literal('file.preview'),
    format: z.enum(inputFormats),
    columns: z.array(z.object({ name: z.string(), example: z.string() })).meta({
      description: 'What a prompt may name, with the value in the first row or line.',
    }),
    requests: z
      .array(
        z.object({
          custom_id: z.string(),
          url: z.string(),
          body: z.unknown().optional().meta({ description: 'Absent when it is longer than 64 KiB.' }),
        }),
      )
      .meta({ description: 'The first requests, up to 5.' }),
    problems,
  })
  .meta({ id: 'FilePreview' });

export const fileConversion = z
  .object({
    object: z.literal('file.conversion'),
    file: fileObject.nullable().meta({ description: 'The input file. None is made when there are problems.' }),
    endpoint: z.string().nullable().meta({ description: 'What its requests call.' }),
    requests: z.int(),
    problems,
  })
  .meta({ id: 'FileConversion' });
