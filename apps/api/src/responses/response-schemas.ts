import { z } from 'zod';

/** Source: https://platform.openai.com/docs/api-reference/responses/object */
export const responseObject = z
  .looseObject({
    id: z.string().meta({ example: 'resp_0123456789abcdef0123456789abcdef' }),
    object: z.literal('response'),
    status: z
      .string()
      .meta({ description: '`queued`, `in_progress`, `completed`, `failed`, `cancelled` or `incomplete`.' }),
  })
  .meta({ id: 'Response' });
export type ResponseObject = z.input<typeof responseObject>;

export const responseParams = z.object({ response_id: z.string() });
export type ResponseParams = z.output<typeof responseParams>;

export const responseQuery = z.object({
  stream: z.literal('false', { error: 'a background response cannot be streamed' }).optional(),
});

export const deletedResponse = z.object({ id: z.string(), object: z.literal('response'), deleted: z.literal(true) });
