import { expect, test } from 'vitest';
import { buildProviders, defaultTimeoutMs, fileConfig } from './provider-config.ts';

const build = (config: unknown, env: Readonly<Record<string, string>> = {}) =>
  buildProviders(fileConfig.parse(config), env);
const invalidConfig = expect.objectContaining({ code: 'invalid_config' });

test('an empty configuration has the defaults', () => {
  expect(fileConfig.parse({})).toEqual({
    providers: {},
    tenants: {},
    webhooks: {},
    retry: { attempts: 6, baseDelayMs: 1000, maxDelayMs: 60_000 },
  });
});

test('a part of retry leaves the rest at its defaults', () => {
  expect(fileConfig.parse({ retry: { attempts: 2 } }).retry).toEqual({
    attempts: 2,
    baseDelayMs: 1000,
    maxDelayMs: 60_000,
  });
});

test.each([
  ['at the top', { provider: {} }],
  ['of a provider', { providers: { xai: { requestPerMinute: 1 } } }],
  ['of a model', { providers: { xai: { models: { 'grok-4': { rpm: 1 } } } } }],
  ['of retry', { retry: { delayMs: 1 } }],
])('an unknown key %s is refused', (_, config) => {
  expect(() => fileConfig.parse(config)).toThrow(/unrecognized_keys/);
});

test.each([
  ['a name with a capital', { providers: { Xai: {} } }],
  ['a name with a slash', { providers: { 'x/ai': {} } }],
  ['a name with a dot', { providers: { 'x.ai': {} } }],
  ['a base URL that is no URL', { providers: { xai: { baseUrl: 'api.x.ai' } } }],
  ['a base URL of another protocol', { providers: { xai: { baseUrl: 'file:///etc' } } }],
  ['no calls in flight', { providers: { xai: { concurrency: 0 } } }],
  ['half a call in flight', { providers: { xai: { concurrency: 1.5 } } }],
  ['tiers in another order', { providers: { xai: { tiers: ['standard', 'flex'] } } }],
  ['no tier', { providers: { xai: { tiers: [] } } }],
  ['no attempts', { retry: { attempts: 0 } }],
])('%s: the configuration is refused', (_, config) => {
  expect(fileConfig.safeParse(config).success).toBe(false);
});

test('every preset with a key is there without configuration, and needs only its key', () => {
  const { providers } = build({}, { XAI_API_KEY: 'sk-1' });
  expect(Object.keys(providers).sort()).toEqual(
    'anthropic cerebras deepseek fireworks gemini groq izzi mistral openai openrouter together xai'.split(' '),
  );
  expect(providers['xai']).toEqual({
    name: 'xai',
    baseUrl: 'https://api.x.ai/v1',
    apiKeyEnv: 'XAI_API_KEY',
    apiKey: 'sk-1',
    timeoutMs: defaultTimeoutMs,
    probeIntervalMs: 30_000,
    limits: {},
    promptCache: true,
    models: {},
    prices: {},
  });
  expect(providers['openai']).toMatchObject({ apiKeyEnv: 'OPENAI_API_KEY' });
  expect(providers['openai']).not.toHaveProperty('apiKey');
});

test('every base URL of a preset is a URL', () => {
  for (const { baseUrl } of Object.values(build({}).providers)) {
    expect(URL.canParse(baseUrl)).toBe(true);
    expect(baseUrl).not.toMatch(/\/$/);
  }
});

test("the configuration overrides a preset's fields", () => {
  const xai = { baseUrl: 'http://127.0.0.1:1/v1', apiKeyEnv: 'MY_API_KEY', timeoutMs: 5, probeIntervalMs: 6 };
  const models = { 'grok-4': { concurrency: 3 }, 'grok-3': { requestsPerMinute: 9 } };
  expect(
    build({ providers: { xai: { ...xai, concurrency: 50, models } } }, { MY_API_KEY: 'k', XAI_API_KEY: 'other' })
      .providers['xai'],
  ).toEqual({
    name: 'xai',
    ...xai,
    apiKey: 'k',
    limits: { concurrency: 50 },
    promptCache: true,
    models: {
      'grok-4': { limits: { concurrency: 3 } },
      'grok-3': { limits: { requests: { count: 9, windowMs: 60_000 } } },
    },
    prices: {},
  });
});

test("a provider's batch API is OpenAI's, but for what the configuration says", () => {
  const openai = { wire: 'openai', window: '24h', maxLines: 50_000, maxBytes: 200_000_000, priceShare: 0.5 };
  const batchApi = { wire: 'openai', window: '7d', maxLines: 10, priceShare: 0.75 };
  const { providers } = build({ providers: { openai: { batchApi: 'openai' }, groq: { batchApi } } });
  expect(providers['openai']?.batchApi).toEqual(openai);
  expect(providers['groq']?.batchApi).toEqual({ ...openai, ...batchApi });
  expect(providers['xai']?.batchApi).toBeUndefined();
});

test.each(['mistral', { wire: 'openai', window: '10s' }, { wire: 'openai', maxLines: 0 }, { maxLines: 5 }])(
  '%j is no batch API',
  (batchApi) => {
    expect(fileConfig.safeParse({ providers: { xai: { batchApi } } }).success).toBe(false);
  },
);

test('a provider may have time limits; Mistral is not asked for the usage of a stream', () => {
  const limits = { timeoutMs: 600_000, connectTimeoutMs: 2000, firstByteTimeoutMs: 300_000, idleTimeoutMs: 90_000 };
  const { providers } = build({ providers: { xai: limits, lab: { baseUrl: 'http://lab/v1', streamUsage: false } } });
  expect(providers['xai']).toMatchObject(limits);
  expect(providers['mistral']).toMatchObject({ streamUsage: false });
  expect(providers['lab']).toMatchObject({ streamUsage: false });
  expect(fileConfig.safeParse({ providers: { xai: { timeoutMs: 2 ** 31 } } }).success).toBe(false);
});

test('embeddings share calls where a preset or the configuration says how many inputs a call may have', () => {
  const { providers } = build({
    providers: { openai: { models: { small: { embeddingsPerCall: 16 } } }, lab: { baseUrl: 'http://lab/v1' } },
  });
  expect(providers['openai']).toMatchObject({ embeddingsPerCall: 2048, models: { small: { embeddingsPerCall: 16 } } });
  expect(providers['lab']).not.toHaveProperty('embeddingsPerCall');
  expect(build({ providers: { openai: { embeddingsPerCall: 1 } } }).providers['openai']).toMatchObject({
    embeddingsPerCall: 1,
  });
});

test('a provider that is no preset needs a base URL', () => {
  expect(build({ providers: { mine: { baseUrl: 'https://llm.example/v1' } } }).providers['mine']).toMatchObject({
    name: 'mine',
    baseUrl: 'https://llm.example/v1',
  });
  for (const name of ['mine', 'constructor']) expect(() => build({ providers: { [name]: {} } })).toThrow(invalidConfig);
});

test('a local preset is there when its base URL is set or the configuration names it', () => {
  expect(build({}).providers).not.toHaveProperty('vllm');
  expect(build({}, { VLLM_BASE_URL: '', VLLM_API_KEY: 'key' }).providers).not.toHaveProperty('vllm');
  expect(build({}).absent).toEqual({
    azure: 'AZURE_BASE_URL',
    vllm: 'VLLM_BASE_URL',
    ollama: 'OLLAMA_BASE_URL',
    simulator: 'SIMULATOR_BASE_URL',
  });
  expect(build({ providers: { vllm: {} } }).providers['vllm']?.baseUrl).toBe('http://127.0.0.1:8000/v1');
  expect(build({}, { VLLM_BASE_URL: 'http://gpu:8000/v1' }).absent).not.toHaveProperty('vllm');
  expect(() => build({ defaultProvider: 'ollama' })).toThrow(/set OLLAMA_BASE_URL/);
});

test('azure is where its base URL says, and its key goes there only', () => {
  const env = { AZURE_BASE_URL: 'https://mine.openai.azure.com/openai/v1', AZURE_OPENAI_API_KEY: 'key' };
  expect(build({}, env).providers['azure']).toMatchObject({ baseUrl: env.AZURE_BASE_URL, apiKey: 'key' });
  expect(build({}, { AZURE_OPENAI_API_KEY: 'key' }).providers).not.toHaveProperty('azure');
  const missing = /set AZURE_BASE_URL=https:\/\/RESOURCE\.openai\.azure\.com\/openai\/v1/;
  expect(() => build({ providers: { azure: {} } })).toThrow(missing);
  const foreign = { azure: { baseUrl: 'https://evil.example/v1' } };
  expect(() => build({ providers: foreign }, env)).toThrow(
    /AZURE_OPENAI_API_KEY goes to the host of AZURE_BASE_URL only/,
  );
  const { AZURE_BASE_URL: _, ...keyAlone } = env;
  expect(() => build({ providers: foreign }, keyAlone)).toThrow(/goes to the host of AZURE_BASE_URL only/);
});

test('a local preset has a key when one is set, and needs none', () => {
  const env = { VLLM_BASE_URL: 'http://gpu:8000/v1', VLLM_API_KEY: 'key' };
  expect(build({}, env).providers['vllm']).toMatchObject({ apiKeyEnv: 'VLLM_API_KEY', apiKey: 'key' });
  expect(build({}, { ...env, VLLM_API_KEY: '' }).providers['vllm']).not.toHaveProperty('apiKeyEnv');
  const moved = build({ providers: { vllm: { baseUrl: 'http://other:8000/v1' } } }, env).providers['vllm'];
  expect(moved).not.toHaveProperty('apiKey');
});

test('the variable of a preset sets its base URL; the configuration overrides it, and an empty variable counts as unset', () => {
  const variable = { SIMULATOR_BASE_URL: 'http://simulator:8089/v1' };
  const baseUrl = 'http://other:1/v1';
  const named = { providers: { simulator: {} } };
  expect(build(named).providers['simulator']?.baseUrl).toBe('http://127.0.0.1:8089/v1');
  expect(build(named, { SIMULATOR_BASE_URL: '' }).providers['simulator']?.baseUrl).toBe('http://127.0.0.1:8089/v1');
  expect(build({}, { OPENAI_BASE_URL: 'https://proxy/v1' }).providers['openai']?.baseUrl).toBe('https://proxy/v1');
  expect(build({}, variable).providers['simulator']?.baseUrl).toBe('http://simulator:8089/v1');
  expect(build({ providers: { simulator: { baseUrl } } }, variable).providers['simulator']?.baseUrl).toBe(baseUrl);
});

test('the default provider must be one of the providers', () => {
  expect(build({ defaultProvider: 'xai' }).defaultProvider).toBe('xai');
  expect(build({})).not.toHaveProperty('defaultProvider');
  for (const defaultProvider of ['nobody', 'constructor', '__proto__'])
    expect(() => build({ defaultProvider })).toThrow(invalidConfig);
});

test('a model of which only the price is said has a price, and no lane of its own', () => {
  const prices = { input: 1, output: 2 };
  const { providers } = build({
    providers: { xai: { requestsPerMinute: 9, models: { a: { prices }, b: { prices, concurrency: 1 }, c: {} } } },
  });
  expect(Object.keys(providers['xai']?.models ?? {})).toEqual(['b', 'c']);
  expect(providers['xai']?.prices).toEqual({ a: prices, b: prices });
});

test('flex is half the price and may take 15 minutes, unless the preset or the configuration says otherwise', () => {
  const { providers } = build({
    providers: { simulator: { flex: { priceShare: 0.3 } }, xai: { tiers: ['flex', 'standard'] } },
  });
  expect(providers['openai']?.flex).toEqual({ limits: {}, timeoutMs: 900_000, priceShare: 0.5 });
  expect(providers['groq']?.flex?.priceShare).toBe(1);
  expect(providers['simulator']?.flex?.priceShare).toBe(0.3);
  expect(providers['xai']).toMatchObject({ flex: { priceShare: 0.5 }, tiers: ['flex', 'standard'] });
  expect(providers['mistral']).not.toHaveProperty('flex');
});
