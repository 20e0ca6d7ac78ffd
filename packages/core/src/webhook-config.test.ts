import { expect, test } from 'vitest';
import { buildWebhooks, type WebhooksConfig } from './webhook-config.ts';
import { webhookEventTypes } from './webhook-event.ts';

const secret = 'whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw';
const build = (config: WebhooksConfig, env = {}) => {
  const problems: string[] = [];
  return { webhooks: buildWebhooks(config, env, false, problems), problems };
};

test('a webhook has its secret from the environment, and all events of all tenants by default', () => {
  const config = { ops: { url: 'https://example.com/', secretEnv: 'OPS' } };
  const { webhooks, problems } = build(config, { OPS: secret });
  expect(problems).toEqual([]);
  expect(webhooks).toEqual([{ name: 'ops', url: 'https://example.com/', events: webhookEventTypes, secret }]);
});

test('a process without the secret knows which variable is missing', () => {
  const { webhooks, problems } = build({ ops: { url: 'https://example.com/', secretEnv: 'OPS' } });
  expect(problems).toEqual([]);
  expect(webhooks).toMatchObject([{ missingVariable: 'OPS' }]);
});

test('only a chat needs no secret', () => {
  expect(build({ ops: { url: 'https://hooks.slack.com/services/T0' } }).problems).toEqual([]);
  expect(build({ ops: { url: 'https://example.com/' } }).problems).toEqual(['webhooks.ops: secretEnv is missing']);
});

test('what is wrong is named, and no value is repeated', () => {
  const config = { ops: { url: 'http://canary.internal/canary', secretEnv: 'OPS' } };
  const { problems } = build(config, { OPS: 'canary' });
  expect(problems).toEqual([
    'webhooks.ops: url: it must be an https:// URL',
    'webhooks.ops: OPS: must be whsec_ and 24 to 64 bytes in base64',
  ]);
});
