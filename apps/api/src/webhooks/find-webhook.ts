import { ApiError, isBatchId, isWebhookId, type Webhook, webhookUrlProblem } from '@promptmill/core';
import type { ApiDependencies } from '../dependencies.ts';
import { badRequest } from '../request-problem.ts';

export const noSuchWebhook = (id: string): ApiError =>
  new ApiError(404, `No such Webhook object: ${id}`, { param: 'id' });

/** The tenant's webhook; 404 for any other id, whatever is wrong with it. */
export const findWebhook = async (
  { webhooks }: Pick<ApiDependencies, 'webhooks'>,
  tenant: string,
  id: string,
): Promise<Webhook> => {
  const webhook = isWebhookId(id) ? await webhooks.get(tenant, id) : undefined;
  if (!webhook) throw noSuchWebhook(id);
  return webhook;
};

/** The id of what has deliveries: the tenant's webhook, or its batch with a URL of its own. 404 for any other id. */
export const findReceiver = async (
  dependencies: Pick<ApiDependencies, 'webhooks' | 'batches'>,
  tenant: string,
  id: string,
): Promise<string> => {
  if (!isBatchId(id)) return (await findWebhook(dependencies, tenant, id)).id;
  const batch = await dependencies.batches.get(id);
  if (batch?.tenant !== tenant || batch.webhook === undefined) throw noSuchWebhook(id);
  return id;
};

/** Throws a 400 when events may not go to this URL. */
export const checkWebhookUrl = (
  { config }: Pick<ApiDependencies, 'config'>,
  url: string | undefined,
  param: string,
): void => {
  const problem = url === undefined ? undefined : webhookUrlProblem(url, config.allowPrivateWebhooks);
  if (problem !== undefined)
    throw badRequest({ message: `Invalid '${param}': ${problem}.`, code: 'invalid_webhook_url', param });
};
