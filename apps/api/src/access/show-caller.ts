import { z } from 'zod';
import type { Call } from '../call.ts';

export const callerObject = z
  .object({
    object: z.literal('caller'),
    tenant: z.string(),
    admin: z.boolean().meta({ description: 'Whether the key may see and cancel the batches of every tenant.' }),
  })
  .meta({ id: 'Caller' });

/** `GET /v1/caller`: whose key the request bears. */
export const showCaller = async ({ tenant, response }: Call): Promise<z.output<typeof callerObject>> => ({
  object: 'caller',
  tenant,
  admin: response.locals.caller?.admin ?? false,
});
