import { z } from 'zod';
import type { Environment } from './environment.ts';
import { type WebhookEventType, webhookEventTypes } from './webhook-event.ts';
import { isWebhookSecret, webhookSecretRule } from './webhook-secret.ts';
import { chatOf, webhookUrlProblem } from './webhook-url.ts';

const webhookConfig = z.strictObject({
  url: z.string(),
  /** The environment variable with the secret that signs: `whsec_…`. A URL of Slack or Discord needs none. */
  secretEnv: z.string().min(1).optional(),
  /** Default: all. */
  events: z.array(z.enum(webhookEventTypes)).min(1).optional(),
  /** Whose batches it is told of. Default: those of every tenant. */
  tenants: z.array(z.string()).min(1).optional(),
});

/** The operator's webhooks by name. */
export const webhooksConfig = z.record(z.string().regex(/^[a-z0-9][a-z0-9-]{0,62}$/), webhookConfig);
export type WebhooksConfig = z.infer<typeof webhooksConfig>;

/** A webhook of the configuration. */
export interface OperatorWebhook {
  readonly name: string;
  readonly url: string;
  readonly events: readonly WebhookEventType[];
  /** Undefined: every tenant's batches. */
  readonly tenants?: readonly string[];
  /** Undefined for a chat, and where the variable is not set. */
  readonly secret?: string;
  /** The variable with its secret, where that is not set: nothing is sent then. */
  readonly missingVariable?: string;
}

const buildWebhook = (name: string, config: WebhooksConfig[string], env: Environment): OperatorWebhook => {
  const { url, secretEnv, tenants } = config;
  const secret = secretEnv === undefined ? undefined : env[secretEnv];
  return {
    name,
    url,
    events: config.events ?? webhookEventTypes,
    ...(tenants ? { tenants } : {}),
    ...(secret === undefined ? {} : { secret }),
    ...(secretEnv !== undefined && secret === undefined ? { missingVariable: secretEnv } : {}),
  };
};

/**
 * Builds the operator's webhooks with their secrets. Adds what is wrong with them to `problems`.
 *
 * @param allowPrivate whether they may be in a private network, and use http
 */
export const buildWebhooks = (
  config: WebhooksConfig,
  env: Environment,
  allowPrivate: boolean,
  problems: string[],
): OperatorWebhook[] => {
  const webhooks = Object.entries(config).map(([name, each]) => buildWebhook(name, each, env));
  for (const { name, url, secret } of webhooks) {
    const { secretEnv } = config[name] ?? {};
    const urlProblem = webhookUrlProblem(url, allowPrivate);
    if (urlProblem !== undefined) problems.push(`webhooks.${name}: url: ${urlProblem}`);
    else if (secretEnv === undefined && chatOf(url) === undefined)
      problems.push(`webhooks.${name}: secretEnv is missing`);
    if (secret !== undefined && !isWebhookSecret(secret))
      problems.push(`webhooks.${name}: ${secretEnv}: must be ${webhookSecretRule}`);
  }
  return webhooks;
};
