import { expect, test } from 'vitest';
import { isPrivateHost } from './private-host.ts';

test.each([
  'localhost',
  '127.0.0.1',
  '[::1]',
  '10.1.2.3',
  '172.16.0.1',
  '172.31.0.1',
  '192.168.1.1',
  '169.254.1.1',
  '100.64.0.1',
  '[fd00::1]',
  '[fe80::1]',
  'vllm',
  'host.docker.internal',
  'gpu.local',
  'vllm.default.svc',
])('%s is private', (host) => {
  expect(isPrivateHost(host)).toBe(true);
});

test.each([
  'api.openai.com',
  '8.8.8.8',
  '172.32.0.1',
  '100.128.0.1',
  '10.evil.example',
  '192.168.1.1.evil.example',
  'local.evil.example',
  '[2001:db8::1]',
])('%s is not', (host) => {
  expect(isPrivateHost(host)).toBe(false);
});
