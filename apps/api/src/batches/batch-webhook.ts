import { type Batch, type BatchWebhook, newWebhookSecret, toBatchObject } from '@promptmill/core';
import type { ApiDependencies } from '../dependencies.ts';
import { checkWebhookUrl } from '../webhooks/find-webhook.ts';
import type { CreateBatchBody } from './create-batch-schemas.ts';

/** The part of a creation that is beyond OpenAI's. */
type Extension = CreateBatchBody['promptmill'];

/** Where the events of a new batch go; undefined when its creation does not say it. Throws a 400 for a wrong URL. */
export const batchWebhookOf = (
  dependencies: Pick<ApiDependencies, 'config'>,
  extension: Extension,
): BatchWebhook | undefined => {
  const { webhook_url: url, webhook_secret: secret } = extension ?? {};
  checkWebhookUrl(dependencies, url, 'promptmill.webhook_url');
  return url === undefined ? undefined : { url, secret: secret ?? newWebhookSecret() };
};

/** The answer to a creation: it shows the secret that was made for the batch. */
export const toCreatedObject = (batch: Batch, extension: Extension) => {
  const shown = toBatchObject(batch);
  const isMade = extension?.webhook_url !== undefined && extension.webhook_secret === undefined;
  if (!batch.webhook || !isMade) return shown;
  return { ...shown, promptmill: { ...shown.promptmill, webhook_secret: batch.webhook.secret } };
};
