import { z } from 'zod';
import { seconds } from '../api-schemas.ts';

/** Source: https://platform.openai.com/docs/api-reference/models/object */
export const modelObject = z
  .object({
    id: z.string().meta({ example: 'simulator/echo' }),
    object: z.literal('model'),
    created: seconds,
    owned_by: z.string().meta({ description: 'The provider.' }),
  })
  .meta({ id: 'Model' });

export const modelList = z.object({ object: z.literal('list'), data: z.array(modelObject) });

export const modelParams = z.object({ model: z.string().meta({ example: 'simulator/echo' }) });
export type ModelParams = z.output<typeof modelParams>;

/** @param id `provider/model` */
export const toModelObject = (id: string, createdAtMs: number) => ({
  id,
  object: 'model' as const,
  created: Math.floor(createdAtMs / 1000),
  owned_by: id.slice(0, id.indexOf('/')),
});
