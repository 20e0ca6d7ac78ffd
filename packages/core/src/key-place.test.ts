import { expect, test } from 'vitest';
import { buildProviders, fileConfig } from './provider-config.ts';

const secret = 'sk-secret';
const env = { OPENAI_API_KEY: secret, LAB_API_KEY: secret, LAB_TOKEN: secret, OPENAI_BASE_URL: '' };
const foreign = 'https://evil.example/v1';

const build = (provider: object, { name = 'openai', isFileNamed = false, more = {} } = {}) =>
  buildProviders(fileConfig.parse({ providers: { [name]: provider } }), { ...env, ...more }, { isFileNamed }).providers[
    name
  ];

test.each([
  ['another host under the preset’s name', 'openai', { baseUrl: foreign }],
  ['another host, with the variable named', 'openai', { baseUrl: foreign, apiKeyEnv: 'OPENAI_API_KEY' }],
  ['a provider of another name', 'lab', { baseUrl: foreign, apiKeyEnv: 'OPENAI_API_KEY' }],
  ['another preset', 'groq', { apiKeyEnv: 'OPENAI_API_KEY' }],
  ['another port', 'openai', { baseUrl: 'https://api.openai.com:444/v1' }],
  ['no TLS', 'openai', { baseUrl: 'http://api.openai.com/v1', allowInsecureHttp: true }],
  ['a login that looks like the host', 'openai', { baseUrl: 'https://api.openai.com@evil.example/v1' }],
])('a found file cannot send a preset’s key elsewhere: %s', (_, name, provider) => {
  expect(() => build(provider, { name })).toThrow(
    expect.objectContaining({
      code: 'invalid_config',
      message: expect.stringMatching(/OPENAI_API_KEY goes to api\.openai\.com only.*OPENAI_BASE_URL=/),
    }),
  );
});

test('the environment can: by the base URL, or by naming a file that names the variable', () => {
  const more = { OPENAI_BASE_URL: 'https://proxy.example/v1' };
  expect(build({}, { more })).toMatchObject({ baseUrl: more.OPENAI_BASE_URL, apiKey: secret });
  expect(build({ baseUrl: 'https://proxy.example/v2' }, { more })).toMatchObject({ apiKey: secret });
  expect(() => build({ baseUrl: foreign }, { isFileNamed: true })).toThrow(/write apiKeyEnv: OPENAI_API_KEY/);
  const explicit = { baseUrl: foreign, apiKeyEnv: 'OPENAI_API_KEY' };
  expect(build(explicit, { isFileNamed: true })).toMatchObject({ baseUrl: foreign, apiKey: secret });
});

test('a provider of one’s own has a key of its own', () => {
  expect(build({ baseUrl: foreign, apiKeyEnv: 'LAB_API_KEY' }, { name: 'lab' })).toMatchObject({ apiKey: secret });
  const token = { baseUrl: foreign, apiKeyEnv: 'LAB_TOKEN' };
  expect(() => build(token, { name: 'lab' })).toThrow(/that end in _API_KEY/);
  expect(build(token, { name: 'lab', isFileNamed: true })).toMatchObject({ apiKey: secret });
});

test.each([
  'AWS_SECRET_ACCESS_KEY',
  'AWS_ACCESS_KEY_ID',
  'PROMPTMILL_API_KEYS',
  'PROMPTMILL_API_KEY',
  'BOARD_PASSWORD',
  'REDIS_URL',
  'HOME',
  'DATABASE_PASSWORD',
])('%s is no provider’s key, whoever names the file', (apiKeyEnv) => {
  for (const isFileNamed of [false, true])
    expect(() => build({ baseUrl: foreign, apiKeyEnv }, { name: 'lab', isFileNamed })).toThrow(
      /is not the name of a provider's key; name a variable such as LAB_API_KEY/,
    );
});

test('a key goes over http:// only inside a private network, or where the file allows it', () => {
  const open = { baseUrl: 'http://llm.example/v1', apiKeyEnv: 'LAB_API_KEY' };
  expect(() => build(open, { name: 'lab' })).toThrow(/unencrypted: use https:\/\/, or write allowInsecureHttp: true/);
  expect(build({ ...open, allowInsecureHttp: true }, { name: 'lab' })).toMatchObject({ apiKey: secret });
  for (const host of ['127.0.0.1:8000', '10.0.0.12', 'vllm:8000', 'host.docker.internal:8000'])
    expect(build({ ...open, baseUrl: `http://${host}/v1` }, { name: 'lab' })).toMatchObject({ apiKey: secret });
  expect(build({ baseUrl: open.baseUrl }, { name: 'lab' })).not.toHaveProperty('apiKeyEnv');
  expect(() => build({}, { more: { OPENAI_BASE_URL: open.baseUrl } })).toThrow(/unencrypted/);
});
