import { buildProviders, fileConfig, type Provider } from '@promptmill/core';
import { describe, expect, it } from 'vitest';
import { createPriceList } from './price-list.ts';

const config = {
  providers: {
    openai: { models: { 'gpt-6-luna': { prices: { input: 9, output: 10 } }, mine: { prices: { input: 1 } } } },
    'my-groq': { baseUrl: 'https://api.groq.com/openai/v1' },
    lab: { baseUrl: 'http://10.0.0.12:8000/v1' },
    ollama: {},
    simulator: { flex: { priceShare: 0.25 }, models: { echo: { prices: { input: 1, output: 2 } } } },
  },
};
const { providers } = buildProviders(fileConfig.parse(config), {
  XAI_BASE_URL: 'http://127.0.0.1:1/v1',
  AZURE_BASE_URL: 'https://mine.openai.azure.com/openai/v1',
});
const provider = (name: string): Provider => {
  const found = providers[name];
  if (!found) throw new Error(`no provider ${name}`);
  return found;
};
const list = createPriceList(() => Date.UTC(2026, 10, 28));
const pricesOf = (name: string, model: string, more: object = {}) => list.pricesOf(provider(name), { model, ...more });

describe('prices', () => {
  it.each([
    ['anthropic', 'claude-haiku-4-5'],
    ['groq', 'llama-3.3-70b-versatile'],
    ['mistral', 'mistral-large-latest'],
    ['azure', 'o4-mini'],
    ['cerebras', 'gpt-oss-120b'],
    ['deepseek', 'deepseek-v4-flash'],
    ['fireworks', 'accounts/fireworks/models/gpt-oss-120b'],
    ['gemini', 'gemini-3.5-flash'],
    ['openai', 'gpt-6-sol'],
    ['openrouter', 'openai/gpt-6-luna'],
    ['together', 'meta-llama/Llama-3.3-70B-Instruct-Turbo'],
    ['xai', 'grok-4.3'],
    ['my-groq', 'llama-3.3-70b-versatile'],
  ])('of %s/%s are public', async (name, model) => {
    const prices = await pricesOf(name, model);
    expect(prices?.input).toBeDefined();
    expect(prices?.output).toBeDefined();
  });

  it('of models of images have a price of their own for images', async () => {
    expect(await pricesOf('openai', 'gpt-image-2')).toMatchObject({ input: 5, imageInput: 8, output: 30 });
  });

  it('are those of the configuration where it has them', async () => {
    expect(await pricesOf('openai', 'gpt-6-luna')).toEqual({ input: 9, output: 10 });
    expect(await pricesOf('openai', 'gpt-6-luna', { service_tier: 'priority' })).toEqual({ input: 9, output: 10 });
    expect(await pricesOf('openai', 'mine')).toEqual({ input: 1 });
    expect(await pricesOf('simulator', 'echo')).toEqual({ input: 1, output: 2 });
  });

  it.each([
    ['openai', 'gpt-6-luna-of-my-own'],
    ['openai', 'constructor'],
    ['izzi', 'gpt-6-luna'],
    ['lab', 'gpt-6-luna'],
    ['ollama', 'gpt-6-luna'],
    ['simulator', 'other'],
  ])('of %s/%s are unknown', async (name, model) => {
    expect(await pricesOf(name, model)).toBeUndefined();
  });

  it('of flex are the share of the standard prices that the preset or the configuration says', async () => {
    const flex = { service_tier: 'flex' };
    expect(await pricesOf('openai', 'gpt-6-luna', flex)).toMatchObject({ input: 4.5, output: 5 });
    const standard = await pricesOf('groq', 'llama-3.3-70b-versatile');
    expect(await pricesOf('groq', 'llama-3.3-70b-versatile', flex)).toEqual(standard);
    expect(await pricesOf('simulator', 'echo', flex)).toMatchObject({ input: 0.25, output: 0.5 });
  });

  it('of a service tier with prices of its own are unknown', async () => {
    expect(await pricesOf('openai', 'gpt-6-sol', { service_tier: 'priority' })).toBeUndefined();
    expect(await pricesOf('xai', 'grok-4.3', { service_tier: 'flex' })).toBeUndefined();
    expect(await pricesOf('openai', 'gpt-6-sol', { service_tier: 'default' })).toBeDefined();
  });
});
