import type { Environment } from './environment.ts';
import type { Prices } from './prices.ts';

export interface Preset {
  /** Absent where each user has a host of their own: the preset is there when the environment names it. */
  readonly baseUrl?: string;
  /** What such a base URL looks like. */
  readonly exampleUrl?: string;
  /** The variable with its key. */
  readonly apiKeyEnv: string;
  /** Whether it can be called without a key: it runs beside Promptmill. It is there only when it is configured. */
  readonly isLocal?: boolean;
  readonly streamUsage?: boolean;
  /** How many inputs it takes in one call for embeddings. Default 1. */
  readonly embeddingsPerCall?: number;
  /** Whether it caches the starts of prompts unasked, and tells and prices what it had cached. */
  readonly promptCache?: boolean;
  /** Set for a provider with a flex tier: what that costs, as a share of the standard price. */
  readonly flexPriceShare?: number;
  /** Of models that no list of public prices has, in USD per million tokens. */
  readonly prices?: Readonly<Record<string, Prices>>;
}

/**
 * Providers that need no configuration but the variable with their key; azure and a local one need the variable with
 * their base URL. Each URL and variable is in the provider's own documentation of its OpenAI-compatible API; where a
 * source is named, it is not the obvious one.
 */
export const presets: Readonly<Record<string, Preset>> = {
  // Source: https://docs.x.ai/developers/advanced-api-usage/prompt-caching
  xai: { baseUrl: 'https://api.x.ai/v1', apiKeyEnv: 'XAI_API_KEY', promptCache: true },
  // 2048 inputs, and 300,000 tokens in all. Sources: https://platform.openai.com/docs/api-reference/embeddings/create,
  // https://developers.openai.com/api/docs/guides/prompt-caching,
  // https://developers.openai.com/api/docs/guides/flex-processing
  openai: {
    baseUrl: 'https://api.openai.com/v1',
    apiKeyEnv: 'OPENAI_API_KEY',
    embeddingsPerCall: 2048,
    promptCache: true,
    flexPriceShare: 0.5,
  },
  // An Azure OpenAI resource. Its v1 API takes the resource's key as a bearer token, and a deployment's name as the model.
  // Sources: https://learn.microsoft.com/en-us/azure/foundry/openai/api-version-lifecycle,
  // https://learn.microsoft.com/en-us/azure/foundry/openai/how-to/prompt-caching,
  // https://learn.microsoft.com/en-us/azure/foundry/openai/how-to/flex-processing
  azure: {
    exampleUrl: 'https://RESOURCE.openai.azure.com/openai/v1',
    apiKeyEnv: 'AZURE_OPENAI_API_KEY',
    promptCache: true,
    flexPriceShare: 0.5,
  },
  // Source: https://docs.anthropic.com/en/api/openai-sdk
  anthropic: { baseUrl: 'https://api.anthropic.com/v1', apiKeyEnv: 'ANTHROPIC_API_KEY' },
  // Source: https://ai.google.dev/gemini-api/docs/openai
  gemini: { baseUrl: 'https://generativelanguage.googleapis.com/v1beta/openai', apiKeyEnv: 'GEMINI_API_KEY' },
  izzi: { baseUrl: 'https://api.izziapi.com/v1', apiKeyEnv: 'IZZI_API_KEY' },
  // Sources: https://console.groq.com/docs/prompt-caching, https://console.groq.com/docs/flex-processing
  groq: {
    baseUrl: 'https://api.groq.com/openai/v1',
    apiKeyEnv: 'GROQ_API_KEY',
    promptCache: true,
    flexPriceShare: 1,
  },
  cerebras: { baseUrl: 'https://api.cerebras.ai/v1', apiKeyEnv: 'CEREBRAS_API_KEY' },
  // Source: https://api-docs.deepseek.com/
  deepseek: { baseUrl: 'https://api.deepseek.com', apiKeyEnv: 'DEEPSEEK_API_KEY' },
  fireworks: { baseUrl: 'https://api.fireworks.ai/inference/v1', apiKeyEnv: 'FIREWORKS_API_KEY' },
  // Mistral refuses `stream_options` with 422, and sends the usage of a stream unasked.
  // Source: https://github.com/openai/openai-agents-python/issues/442
  mistral: { baseUrl: 'https://api.mistral.ai/v1', apiKeyEnv: 'MISTRAL_API_KEY', streamUsage: false },
  // Sources: https://docs.together.ai/docs/inference/openai-compatibility,
  // https://docs.together.ai/docs/inference/chat/prompt-caching
  together: { baseUrl: 'https://api.together.ai/v1', apiKeyEnv: 'TOGETHER_API_KEY', promptCache: true },
  openrouter: { baseUrl: 'https://openrouter.ai/api/v1', apiKeyEnv: 'OPENROUTER_API_KEY' },
  vllm: { baseUrl: 'http://127.0.0.1:8000/v1', apiKeyEnv: 'VLLM_API_KEY', isLocal: true },
  ollama: { baseUrl: 'http://127.0.0.1:11434/v1', apiKeyEnv: 'OLLAMA_API_KEY', isLocal: true },
  simulator: {
    baseUrl: 'http://127.0.0.1:8089/v1',
    apiKeyEnv: 'SIMULATOR_API_KEY',
    isLocal: true,
    // Made up, so that a first try shows what a cost looks like. Nobody is billed.
    prices: { json: { input: 0.2, output: 0.5 } },
  },
};

/** Returns undefined for what every object has, such as `constructor`. */
export const presetNamed = (name: string): Preset | undefined =>
  Object.hasOwn(presets, name) ? presets[name] : undefined;

/** The variable that overrides a preset's base URL: `OPENAI_BASE_URL`. */
export const baseUrlEnvOf = (preset: string): string => `${preset.toUpperCase()}_BASE_URL`;

/** The base URL that the environment gives a preset, else its own; undefined where it has none of its own. */
export const baseUrlOf = (name: string, preset: Preset, env: Environment): string | undefined =>
  env[baseUrlEnvOf(name)] || preset.baseUrl;
