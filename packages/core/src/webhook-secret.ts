import { createHmac, randomBytes } from 'node:crypto';

const prefix = 'whsec_';

/** A new secret: `whsec_` and 256 random bits in base64. */
export const newWebhookSecret = (): string => prefix + randomBytes(32).toString('base64');

/** What a secret may be, for a message. */
export const webhookSecretRule = 'whsec_ and 24 to 64 bytes in base64';

/** Source: https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md */
export const isWebhookSecret = (text: string): boolean => {
  if (text.length > 128 || !/^whsec_[A-Za-z0-9+/]+={0,2}$/.test(text)) return false;
  const bytes = Buffer.from(text.slice(prefix.length), 'base64').length;
  return bytes >= 24 && bytes <= 64;
};

/** A message as a webhook gets it. */
export interface SignedMessage {
  readonly id: string;
  /** Unix seconds. */
  readonly timestamp: number;
  readonly body: string;
}

/**
 * The headers of a message as Standard Webhooks has them, with a signature for each secret.
 * Source: https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md
 */
export const signatureHeaders = ({ id, timestamp, body }: SignedMessage, secrets: readonly string[]) => {
  const sign = (secret: string): string =>
    createHmac('sha256', Buffer.from(secret.slice(prefix.length), 'base64'))
      .update(`${id}.${timestamp}.${body}`)
      .digest('base64');
  return {
    'webhook-id': id,
    'webhook-timestamp': String(timestamp),
    'webhook-signature': secrets.map((secret) => `v1,${sign(secret)}`).join(' '),
  };
};
