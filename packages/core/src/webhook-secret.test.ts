import { expect, test } from 'vitest';
import { isWebhookSecret, newWebhookSecret, signatureHeaders } from './webhook-secret.ts';

test('signs as the reference implementation does', () => {
  // Source: https://github.com/standard-webhooks/standard-webhooks/blob/main/libraries/javascript/src/webhook.test.ts
  const headers = signatureHeaders(
    { id: 'msg_p5jXN8AQM9LWM0D4loKWxJek', timestamp: 1_614_265_330, body: '{"test": 2432232314}' },
    ['whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw'],
  );
  expect(headers['webhook-signature']).toBe('v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=');
});

test('each secret signs', () => {
  const message = { id: 'a', timestamp: 1, body: '{}' };
  const [one, two] = [newWebhookSecret(), newWebhookSecret()];
  const sign = (...secrets: string[]) => signatureHeaders(message, secrets)['webhook-signature'];
  expect(sign(one, two)).toBe(`${sign(one)} ${sign(two)}`);
});

test('a secret is whsec_ and 24 to 64 bytes', () => {
  expect(isWebhookSecret(newWebhookSecret())).toBe(true);
  expect(isWebhookSecret('whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw')).toBe(true);
  for (const wrong of ['', 'secret', 'whsec_', 'whsec_c2hvcnQ=', `whsec_${'A'.repeat(120)}`, `whsec_${'!'.repeat(40)}`])
    expect([wrong, isWebhookSecret(wrong)]).toEqual([wrong, false]);
});
