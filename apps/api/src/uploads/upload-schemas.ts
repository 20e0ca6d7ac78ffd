import { filePurposes } from '@promptmill/core';
import { z } from 'zod';
import { expiresAfter, seconds } from '../api-schemas.ts';
import { fileObject } from '../files/file-schemas.ts';
import { maxFilenameLength } from '../files/read-upload.ts';

export const maxPartBytes = 64 * 2 ** 20;
/** Of an upload. With parts of 64 MiB it may have 625 GiB; the largest file is smaller by default. */
export const maxParts = 10_000;

/** Source: https://platform.openai.com/docs/api-reference/uploads/object */
export const uploadObject = z
  .object({
    id: z.string().meta({ example: 'upload_0123456789abcdef0123456789abcdef' }),
    object: z.literal('upload'),
    bytes: z.int(),
    created_at: seconds,
    expires_at: seconds,
    filename: z.string(),
    purpose: z.enum(filePurposes),
    status: z.enum(['pending', 'completed', 'cancelled', 'expired']),
    file: fileObject.nullable().meta({ description: 'What a completed upload made.' }),
  })
  .meta({ id: 'Upload' });

/** Source: https://platform.openai.com/docs/api-reference/uploads/part-object */
export const partObject = z
  .object({
    id: z.string().meta({ example: 'part_0123456789abcdef0123456789abcdef' }),
    object: z.literal('upload.part'),
    created_at: seconds,
    upload_id: z.string(),
  })
  .meta({ id: 'UploadPart' });

export const uploadParams = z.object({ upload_id: z.string() });
export type UploadParams = z.output<typeof uploadParams>;

export const createUploadBody = z.strictObject({
  filename: z
    .string()
    .min(1)
    .max(maxFilenameLength)
    .refine((name) => name.isWellFormed(), { error: 'it is not well-formed Unicode' }),
  purpose: z.literal('batch'),
  bytes: z.int().min(0).meta({ description: 'Of the whole file.' }),
  mime_type: z.string().min(1).max(255),
  expires_after: expiresAfter.optional().meta({ description: 'When the file is deleted. Default 30 days.' }),
});
export type CreateUploadBody = z.output<typeof createUploadBody>;

/** A part has no fields but its bytes. */
export const partFields = z.strictObject({});

export const partForm = z.object({
  data: z.string().meta({ format: 'binary', description: 'At most 64 MiB.' }),
});

export const completeUploadBody = z.strictObject({
  part_ids: z
    .array(z.string())
    .max(maxParts)
    .refine((ids) => new Set(ids).size === ids.length, { error: 'it names a part twice' })
    .meta({ description: 'In the order of their bytes in the file.' }),
  md5: z
    .string()
    .regex(/^[0-9a-f]{32}$/i, { error: 'it is no MD5 in hex' })
    .optional()
    .meta({ description: 'Of the whole file, in hex.' }),
});
export type CompleteUploadBody = z.output<typeof completeUploadBody>;
