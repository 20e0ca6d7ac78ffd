import { expect, test } from 'vitest';
import { chatOf, originOf, webhookUrlProblem } from './webhook-url.ts';

test.each(['https://example.com/hook?key=1', 'https://example.com:8443/', 'https://8.8.8.8/', 'HTTPS://EXAMPLE.COM'])(
  '%s is allowed',
  (url) => {
    expect(webhookUrlProblem(url, false)).toBeUndefined();
  },
);

test.each([
  'http://example.com/',
  'ftp://example.com/',
  'file:///etc/passwd',
  'example.com',
  '',
  'https://',
  'https://user@example.com/',
  'https://:password@example.com/',
  'https://localhost/',
  'https://localhost./',
  'https://redis/',
  'https://metadata.google.internal/',
  'https://127.0.0.1/',
  'https://127.1/',
  'https://0x7f000001/',
  'https://2130706433/',
  'https://0177.0.0.1/',
  'https://169.254.169.254/latest/meta-data',
  'https://10.0.0.1/',
  'https://0/',
  'https://[::1]/',
  'https://[::]/',
  'https://[::ffff:127.0.0.1]/',
  'https://[::ffff:169.254.169.254]/',
  'https://[fd00::1]/',
  `https://example.com/${'a'.repeat(2048)}`,
])('%s is not', (url) => {
  expect(webhookUrlProblem(url, false)).toEqual(expect.any(String));
});

test('a private network and http are allowed when the operator says so, a login never', () => {
  expect(webhookUrlProblem('http://127.0.0.1:8080/', true)).toBeUndefined();
  expect(webhookUrlProblem('http://receiver/', true)).toBeUndefined();
  expect(webhookUrlProblem('http://user:password@receiver/', true)).toBe('it must have no login');
  expect(webhookUrlProblem('ftp://receiver/', true)).toEqual(expect.any(String));
});

test('what is wrong with a URL repeats no part of it', () => {
  const secret = 'https://canary:canary@canary.internal/canary?canary';
  expect(webhookUrlProblem(secret, false)).not.toContain('canary');
});

test('only the hosts of the chats get a text', () => {
  expect(chatOf('https://hooks.slack.com/services/T0/B0/x')).toBe('slack');
  expect(chatOf('https://discord.com/api/webhooks/1/x')).toBe('discord');
  expect(chatOf('https://ptb.discord.com/api/webhooks/1/x')).toBe('discord');
  for (const other of [
    'https://discord.com/',
    'https://hooks.slack.com.example.com/services/T0',
    'https://example.com/hooks.slack.com',
    'https://evil-discord.com/api/webhooks/1/x',
    'no URL',
  ])
    expect(chatOf(other)).toBeUndefined();
});

test('the origin of a URL has none of its secrets', () => {
  expect(originOf('https://hooks.slack.com/services/T0/B0/x?key=1')).toBe('https://hooks.slack.com');
});
