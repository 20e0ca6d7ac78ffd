import { toDeliveryObject } from '@promptmill/core';
import { toPage } from '../api-schemas.ts';
import type { Call } from '../call.ts';
import type { ApiDependencies } from '../dependencies.ts';
import { badRequest } from '../request-problem.ts';
import { findReceiver } from './find-webhook.ts';
import type { DeliveriesParams, DeliveryQuery } from './webhook-schemas.ts';

/** `GET /v1/webhooks/{webhook_id}/deliveries`, a page at a time. */
export const listDeliveries =
  (dependencies: Pick<ApiDependencies, 'webhooks' | 'batches' | 'deliveries'>) =>
  async ({ tenant, params, query }: Call<DeliveriesParams, DeliveryQuery>) => {
    const id = await findReceiver(dependencies, tenant, params.webhook_id);
    const found = await dependencies.deliveries.list(tenant, id, query);
    if (!found)
      throw badRequest({ message: `No such delivery: ${query.after}`, code: 'invalid_value', param: 'after' });
    return toPage(found.items.map(toDeliveryObject), found.hasMore);
  };
