import { toWebhookObject } from '@promptmill/core';
import { toPage } from '../api-schemas.ts';
import type { Call } from '../call.ts';
import type { ApiDependencies } from '../dependencies.ts';

/** `GET /v1/webhooks`: all of them. They are few. */
export const listWebhooks =
  ({ webhooks }: Pick<ApiDependencies, 'webhooks'>) =>
  async ({ tenant }: Call) =>
    toPage((await webhooks.list(tenant)).map(toWebhookObject), false);
