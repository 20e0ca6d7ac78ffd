import { z } from 'zod';

const limits = {
  /** Calls in flight, all workers together. */
  concurrency: z.int().positive().optional(),
  /** Calls a minute, all workers together. */
  requestsPerMinute: z.int().positive().optional(),
  /** Calls a second, all workers together; instead of `requestsPerMinute`. */
  requestsPerSecond: z.number().positive().optional(),
  /** Input and output tokens a minute, all workers together. */
  tokensPerMinute: z.int().positive().optional(),
};

const modelConfig = z.strictObject(limits);

/** What a lane may do, all workers together. What is not set is not limited. */
export interface LaneLimits {
  /** Calls in flight. */
  readonly concurrency?: number;
  readonly requests?: { readonly count: number; readonly windowMs: number };
  readonly tokensPerMinute?: number;
}

const buildLimits = (config: z.infer<typeof modelConfig>): LaneLimits => {
  const { concurrency, requestsPerMinute, requestsPerSecond, tokensPerMinute } = config;
  const requests =
    requestsPerSecond === undefined
      ? requestsPerMinute && { count: requestsPerMinute, windowMs: 60_000 }
      : // Less than one a second is one in more than a second.
        { count: Math.max(1, Math.floor(requestsPerSecond)), windowMs: 1000 * Math.max(1, 1 / requestsPerSecond) };
  return {
    ...(concurrency === undefined ? {} : { concurrency }),
    ...(requests ? { requests } : {}),
    ...(tokensPerMinute === undefined ? {} : { tokensPerMinute }),
  };
};

const providerConfig = z.strictObject({
  ...limits,
  baseUrl: z.url({ protocol: /^https?$/ }).optional(),
  /** The environment variable that holds the provider's key. */
  apiKeyEnv: z.string().min(1).optional(),
  /** Longest time one call may take, in milliseconds. */
  timeoutMs: z.int().positive().optional(),
  /** Models with limits, and so a lane, of their own. */
  models: z.record(z.string(), modelConfig).optional(),
});

/** The content of `promptmill.yaml`. Unknown keys are refused. */
export const fileConfig = z.strictObject({
  providers: z.record(z.string().regex(/^[a-z0-9][a-z0-9-]*$/), providerConfig).default({}),
  /** Takes a model that names no known provider. */
  defaultProvider: z.string().optional(),
  retry: z
    .strictObject({
      attempts: z.int().min(1).max(100).default(6),
      baseDelayMs: z.int().min(0).default(1000),
      maxDelayMs: z.int().min(0).default(60_000),
    })
    .prefault({}),
});

export type FileConfig = z.infer<typeof fileConfig>;
type ProviderConfig = z.infer<typeof providerConfig>;

export const defaultTimeoutMs = 120_000;

interface Preset {
  readonly baseUrl: string;
  readonly apiKeyEnv?: string;
  /** Overrides `baseUrl`: for providers that run beside Promptmill, wherever that is. */
  readonly baseUrlEnv?: string;
}

/** Providers that need no more than their key's variable, or for those that run locally, nothing. */
const presets: Readonly<Record<string, Preset>> = {
  xai: { baseUrl: 'https://api.x.ai/v1', apiKeyEnv: 'XAI_API_KEY' },
  openai: { baseUrl: 'https://api.openai.com/v1', apiKeyEnv: 'OPENAI_API_KEY' },
  izzi: { baseUrl: 'https://api.izziapi.com/v1', apiKeyEnv: 'IZZI_API_KEY' },
  groq: { baseUrl: 'https://api.groq.com/openai/v1', apiKeyEnv: 'GROQ_API_KEY' },
  mistral: { baseUrl: 'https://api.mistral.ai/v1', apiKeyEnv: 'MISTRAL_API_KEY' },
  together: { baseUrl: 'https://api.together.xyz/v1', apiKeyEnv: 'TOGETHER_API_KEY' },
  openrouter: { baseUrl: 'https://openrouter.ai/api/v1', apiKeyEnv: 'OPENROUTER_API_KEY' },
  vllm: { baseUrl: 'http://127.0.0.1:8000/v1', baseUrlEnv: 'VLLM_BASE_URL' },
  ollama: { baseUrl: 'http://127.0.0.1:11434/v1', baseUrlEnv: 'OLLAMA_BASE_URL' },
  simulator: { baseUrl: 'http://127.0.0.1:8089/v1', baseUrlEnv: 'SIMULATOR_BASE_URL' },
};

/** An OpenAI-compatible endpoint, ready to be called. */
export interface Provider {
  readonly name: string;
  readonly baseUrl: string;
  /** The environment variable its key comes from; absent for a provider that takes calls without one. */
  readonly apiKeyEnv?: string;
  /** Absent when the variable is not set. */
  readonly apiKey?: string;
  /** Longest time one call may take, in milliseconds. */
  readonly timeoutMs: number;
  readonly limits: LaneLimits;
  /** The limits of models with a lane of their own. */
  readonly models: Readonly<Record<string, LaneLimits>>;
}

export interface ProviderSet {
  readonly providers: Readonly<Record<string, Provider>>;
  readonly defaultProvider?: string;
}

export class ConfigError extends Error {
  readonly code = 'invalid_config';
}

type Environment = Readonly<Record<string, string | undefined>>;

const buildProvider = (name: string, config: ProviderConfig, env: Environment): Provider => {
  const preset = presets[name];
  const baseUrl = config.baseUrl ?? ((preset?.baseUrlEnv && env[preset.baseUrlEnv]) || preset?.baseUrl);
  if (!baseUrl) throw new ConfigError(`providers.${name}: baseUrl is missing (${name} is not a preset)`);
  const apiKeyEnv = config.apiKeyEnv ?? preset?.apiKeyEnv;
  const apiKey = apiKeyEnv ? env[apiKeyEnv] : undefined;
  const models = Object.entries(config.models ?? {}).map(([model, limits]) => [model, buildLimits(limits)] as const);
  return {
    name,
    baseUrl,
    ...(apiKeyEnv ? { apiKeyEnv } : {}),
    ...(apiKey ? { apiKey } : {}),
    timeoutMs: config.timeoutMs ?? defaultTimeoutMs,
    limits: buildLimits(config),
    models: Object.fromEntries(models),
  };
};

/** The providers that the configuration names, and every preset. Whether a key is there, the environment says. */
export const buildProviders = (config: FileConfig, env: Environment): ProviderSet => {
  const names = new Set([...Object.keys(presets), ...Object.keys(config.providers)]);
  const providers = Object.fromEntries(
    [...names].map((name) => [name, buildProvider(name, config.providers[name] ?? {}, env)]),
  );
  if (config.defaultProvider === undefined) return { providers };
  if (!Object.hasOwn(providers, config.defaultProvider))
    throw new ConfigError(`defaultProvider: ${config.defaultProvider} is not among the providers`);
  return { providers, defaultProvider: config.defaultProvider };
};
