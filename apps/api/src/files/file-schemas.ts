import { filePurposes } from '@promptmill/core';
import { z } from 'zod';
import { page, queryInteger, seconds } from '../api-schemas.ts';

/** Source: https://platform.openai.com/docs/api-reference/files/object */
export const fileObject = z
  .object({
    id: z.string().meta({ example: 'file-0123456789abcdef0123456789abcdef' }),
    object: z.literal('file'),
    bytes: z.int(),
    created_at: seconds,
    expires_at: seconds.optional(),
    filename: z.string(),
    purpose: z.enum(filePurposes),
    status: z.literal('processed'),
    status_details: z.null(),
  })
  .meta({ id: 'File' });

export const filePage = page(fileObject).meta({ id: 'FileList' });

export const deletedFile = z
  .object({ id: z.string(), object: z.literal('file'), deleted: z.literal(true) })
  .meta({ id: 'DeletedFile' });

export const fileParams = z.object({ file_id: z.string() });
export type FileParams = z.output<typeof fileParams>;

export const fileQuery = z.object({
  after: z.string().optional().meta({ description: 'The id of the last file of the page before.' }),
  limit: queryInteger(1, 1000, 100),
  order: z.enum(['asc', 'desc']).default('desc').meta({ description: 'By time of creation.' }),
  purpose: z.string().optional().meta({ description: 'One that is not kept here has no files.' }),
});
export type FileQuery = z.output<typeof fileQuery>;

export const rangeHeader = z.object({
  range: z.string().optional().meta({ description: 'One range of bytes.', example: 'bytes=0-1023' }),
});

const anchorField = 'expires_after[anchor]';
const secondsField = 'expires_after[seconds]';

/** The fields of an upload that are not the file. */
export const uploadFields = z
  .strictObject({
    purpose: z.literal('batch'),
    [anchorField]: z.literal('created_at').optional(),
    [secondsField]: z.coerce.number().pipe(z.int().min(3600).max(2_592_000)).optional(),
  })
  .refine((fields) => (fields[anchorField] === undefined) === (fields[secondsField] === undefined), {
    path: ['expires_after'],
    error: 'it takes both anchor and seconds',
  })
  .transform((fields) => ({ purpose: fields.purpose, expiresAfterSeconds: fields[secondsField] }));

export const uploadForm = z.object({
  file: z.string().meta({ format: 'binary', description: 'One request a line, as JSON.' }),
  purpose: z.literal('batch'),
  [anchorField]: z.literal('created_at').optional(),
  [secondsField]: z.int().min(3600).max(2_592_000).optional().meta({ description: 'Default 30 days.' }),
});
