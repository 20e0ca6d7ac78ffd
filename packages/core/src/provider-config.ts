import { z } from 'zod';
import { tenantsConfig } from './tenant-config.ts';

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

const laneConfig = {
  ...limits,
  /** Models that take over a request, in order, when its lane is closed or its batch's deadline is near. */
  fallback: z.array(z.string().min(1)).optional(),
};

const limitsConfig = z.strictObject(limits);
const modelConfig = z.strictObject(laneConfig);

/** The limits of a lane, all workers together. What is absent is not limited. */
export interface LaneLimits {
  /** Calls in flight. */
  readonly concurrency?: number;
  readonly requests?: { readonly count: number; readonly windowMs: number };
  readonly tokensPerMinute?: number;
}

/** What the configuration says about a lane. */
export interface LaneConfig {
  readonly limits: LaneLimits;
  /** Models, as a request names them. */
  readonly fallback?: readonly string[];
}

/** A lane's limits as the configuration writes them. */
export type LimitsConfig = z.infer<typeof limitsConfig>;

export const buildLimits = (config: LimitsConfig): LaneLimits => {
  const { concurrency, requestsPerMinute, requestsPerSecond, tokensPerMinute } = config;
  const requests =
    requestsPerSecond === undefined
      ? requestsPerMinute && { count: requestsPerMinute, windowMs: 60_000 }
      : // A rate below one a second is one call in a longer window.
        { count: Math.max(1, Math.floor(requestsPerSecond)), windowMs: 1000 * Math.max(1, 1 / requestsPerSecond) };
  return {
    ...(concurrency === undefined ? {} : { concurrency }),
    ...(requests ? { requests } : {}),
    ...(tokensPerMinute === undefined ? {} : { tokensPerMinute }),
  };
};

const buildLaneConfig = (config: z.infer<typeof modelConfig>): LaneConfig => ({
  limits: buildLimits(config),
  ...(config.fallback ? { fallback: config.fallback } : {}),
});

/** A day at most, which a timer can hold. */
const durationMs = z.int().positive().max(86_400_000);

const providerConfig = z.strictObject({
  ...laneConfig,
  baseUrl: z.url({ protocol: /^https?$/ }).optional(),
  /** The environment variable that holds the provider's key. */
  apiKeyEnv: z.string().min(1).optional(),
  /** Longest time one call may take, in milliseconds. */
  timeoutMs: durationMs.optional(),
  /** Longest time for a connection, TLS included, in milliseconds. */
  connectTimeoutMs: durationMs.optional(),
  /**
   * Longest time from the start of a call to the first byte of its answer's body, in milliseconds. Default:
   * `timeoutMs`.
   */
  firstByteTimeoutMs: durationMs.optional(),
  /** Longest time between two pieces of an answer's body, in milliseconds. Default: half of `timeoutMs`. */
  idleTimeoutMs: durationMs.optional(),
  /** Whether streamed calls ask for their usage with `stream_options`; some providers refuse that. */
  streamUsage: z.boolean().optional(),
  /** Pause between probes of a provider that takes no call until someone acts, in milliseconds. */
  probeIntervalMs: z.int().positive().optional(),
  /** Models with limits, and so a lane, of their own. A model without a fallback has its provider's. */
  models: z.record(z.string(), modelConfig).optional(),
});

/** The content of `promptmill.yaml`. Unknown keys are refused. */
export const fileConfig = z.strictObject({
  providers: z.record(z.string().regex(/^[a-z0-9][a-z0-9-]*$/), providerConfig).default({}),
  /** The provider of a model whose name begins with none. */
  defaultProvider: z.string().optional(),
  /** What each tenant may use of what all need. */
  tenants: tenantsConfig.default({}),
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
const defaultProbeIntervalMs = 30_000;

interface Preset {
  readonly baseUrl: string;
  readonly apiKeyEnv?: string;
  /** The variable that overrides `baseUrl`, for a provider that runs beside Promptmill. */
  readonly baseUrlEnv?: string;
  readonly streamUsage?: boolean;
}

/** Providers that need no configuration but the variable with their key; local ones need none. */
const presets: Readonly<Record<string, Preset>> = {
  xai: { baseUrl: 'https://api.x.ai/v1', apiKeyEnv: 'XAI_API_KEY' },
  openai: { baseUrl: 'https://api.openai.com/v1', apiKeyEnv: 'OPENAI_API_KEY' },
  // Source: https://docs.anthropic.com/en/api/openai-sdk
  anthropic: { baseUrl: 'https://api.anthropic.com/v1', apiKeyEnv: 'ANTHROPIC_API_KEY' },
  izzi: { baseUrl: 'https://api.izziapi.com/v1', apiKeyEnv: 'IZZI_API_KEY' },
  groq: { baseUrl: 'https://api.groq.com/openai/v1', apiKeyEnv: 'GROQ_API_KEY' },
  // Mistral refuses `stream_options` with 422, and sends the usage of a stream unasked.
  mistral: { baseUrl: 'https://api.mistral.ai/v1', apiKeyEnv: 'MISTRAL_API_KEY', streamUsage: false },
  together: { baseUrl: 'https://api.together.ai/v1', apiKeyEnv: 'TOGETHER_API_KEY' },
  openrouter: { baseUrl: 'https://openrouter.ai/api/v1', apiKeyEnv: 'OPENROUTER_API_KEY' },
  vllm: { baseUrl: 'http://127.0.0.1:8000/v1', baseUrlEnv: 'VLLM_BASE_URL' },
  ollama: { baseUrl: 'http://127.0.0.1:11434/v1', baseUrlEnv: 'OLLAMA_BASE_URL' },
  simulator: { baseUrl: 'http://127.0.0.1:8089/v1', baseUrlEnv: 'SIMULATOR_BASE_URL' },
};

/** An OpenAI-compatible endpoint, ready to be called. */
export interface Provider extends LaneConfig {
  readonly name: string;
  readonly baseUrl: string;
  /** The environment variable with its key. Absent for a provider that needs no key. */
  readonly apiKeyEnv?: string;
  /** Absent when the variable is not set. */
  readonly apiKey?: string;
  /** Longest time one call may take, in milliseconds. */
  readonly timeoutMs: number;
  /** Default 10000. */
  readonly connectTimeoutMs?: number;
  /** Default: `timeoutMs`. */
  readonly firstByteTimeoutMs?: number;
  /** Default: half of `timeoutMs`. */
  readonly idleTimeoutMs?: number;
  /** Whether streamed calls ask for their usage. Default true. */
  readonly streamUsage?: boolean;
  /** Pause between probes of a provider that takes no call until someone acts, in milliseconds. */
  readonly probeIntervalMs: number;
  /** Models with a lane of their own. */
  readonly models: Readonly<Record<string, LaneConfig>>;
}

export interface ProviderSet {
  readonly providers: Readonly<Record<string, Provider>>;
  readonly defaultProvider?: string;
}

/** A configuration that cannot be used. The message says why. */
export class ConfigError extends Error {
  readonly code = 'invalid_config';
}

/** Variables by name, as in `process.env`. */
export type Environment = Readonly<Record<string, string | undefined>>;

const buildProvider = (name: string, config: ProviderConfig, env: Environment): Provider => {
  const preset = presets[name];
  const baseUrl = config.baseUrl ?? ((preset?.baseUrlEnv && env[preset.baseUrlEnv]) || preset?.baseUrl);
  if (!baseUrl) throw new ConfigError(`providers.${name}: baseUrl is missing (${name} is not a preset)`);
  const apiKeyEnv = config.apiKeyEnv ?? preset?.apiKeyEnv;
  const apiKey = apiKeyEnv ? env[apiKeyEnv] : undefined;
  const { connectTimeoutMs, firstByteTimeoutMs, idleTimeoutMs, streamUsage = preset?.streamUsage } = config;
  const models = Object.entries(config.models ?? {}).map(([model, lane]) => [model, buildLaneConfig(lane)] as const);
  return {
    name,
    baseUrl,
    ...(apiKeyEnv ? { apiKeyEnv } : {}),
    ...(apiKey ? { apiKey } : {}),
    timeoutMs: config.timeoutMs ?? defaultTimeoutMs,
    ...(connectTimeoutMs === undefined ? {} : { connectTimeoutMs }),
    ...(firstByteTimeoutMs === undefined ? {} : { firstByteTimeoutMs }),
    ...(idleTimeoutMs === undefined ? {} : { idleTimeoutMs }),
    ...(streamUsage === undefined ? {} : { streamUsage }),
    probeIntervalMs: config.probeIntervalMs ?? defaultProbeIntervalMs,
    ...buildLaneConfig(config),
    models: Object.fromEntries(models),
  };
};

/**
 * Builds every preset and every provider that the configuration names, with the keys in `env`. Throws {@link
 * ConfigError} for a provider without a base URL, and for a default provider that does not exist.
 */
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
