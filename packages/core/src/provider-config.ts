import { z } from 'zod';
import { ConfigError } from './config-error.ts';
import {
  buildDeployments,
  type DeploymentConfig,
  deploymentsConfig,
  modelDeploymentsConfig,
  nameRule,
} from './deployment-config.ts';
import { buildDestination, type Destination, type DestinationConfig, destinationOptions } from './destination.ts';
import type { Environment } from './environment.ts';
import { batchApiConfig, buildBatchApi } from './batch-api-config.ts';
import type { BatchApi } from './hand-off.ts';
import { buildLimits, type LaneLimits, limitOptions } from './lane-limits.ts';
import { baseUrlEnvOf, baseUrlOf, presetNamed, presets } from './presets.ts';
import { type Prices, pricesConfig } from './prices.ts';
import { type ServiceTier, serviceTiers } from './service-tier.ts';
import { tenantsConfig } from './tenant-config.ts';
import { webhooksConfig } from './webhook-config.ts';

/** A day at most, which a timer can hold. */
const durationMs = z.int().positive().max(86_400_000);

/** The flex lane of a provider or model. */
const flexConfig = z.strictObject({
  ...limitOptions,
  /** Longest time one call may take, in milliseconds. Default 15 minutes. */
  timeoutMs: durationMs.optional(),
  /** What it costs, as a share of the standard price. Default 0.5, or as the preset says. */
  priceShare: z.number().positive().max(1).optional(),
});

const laneConfig = {
  ...limitOptions,
  /** Its flex lane has these limits, and is there even where no preset has one. */
  flex: flexConfig.optional(),
  /** The tiers through which the requests of batches go, in order. Default: `[standard]`. */
  tiers: z
    .array(z.enum(serviceTiers))
    .refine((tiers) => ['standard', 'flex', 'flex,standard'].includes(tiers.join()), {
      error: 'it must be [standard], [flex] or [flex, standard]',
    })
    .optional(),
  /** Models that take over a request, in order, when its lane is closed or its batch's deadline is near. */
  fallback: z.array(z.string().min(1)).optional(),
  /** What live calls may take of a lane while batch requests wait in it too. Default 0.9. */
  liveShare: z.number().min(0.1).max(0.99).optional(),
  /** How many inputs of embeddings requests go in one call. 1: each request has a call of its own. */
  embeddingsPerCall: z.int().positive().optional(),
  /** How many tokens such a call has at most. Default 300,000. */
  embeddingTokensPerCall: z.int().positive().optional(),
  /** Whether requests with the same long start wait for the first of them, after which their provider has it cached. */
  promptCache: z.boolean().optional(),
};

const modelConfig = z.strictObject({
  ...laneConfig,
  /** Keys or endpoints that share the model's calls. Base URLs and keys are those of the provider's by the same name. */
  deployments: modelDeploymentsConfig.optional(),
  /** What its tokens cost, in USD per million, instead of what the list of public prices says. */
  prices: pricesConfig.optional(),
});

/** The flex lane of a provider or model. */
export interface FlexConfig {
  readonly limits: LaneLimits;
  /** Longest time one call may take, in milliseconds. */
  readonly timeoutMs: number;
  /** What it costs, as a share of the standard price. */
  readonly priceShare: number;
}

/** What the configuration says about a lane. */
export interface LaneConfig {
  /** Those of all its deployments together, where it has any. */
  readonly limits: LaneLimits;
  /** At least one. */
  readonly deployments?: readonly DeploymentConfig[];
  /** Absent: it has no flex lane; of a model: it has its provider's. */
  readonly flex?: FlexConfig;
  /** The tiers through which the requests of batches go, in order. Default: `['standard']`; of a model: its provider's. */
  readonly tiers?: readonly ServiceTier[];
  /** Models, as a request names them. */
  readonly fallback?: readonly string[];
  /** What live calls may take of the lane while batch requests wait in it, between 0 and 1. Default 0.9. */
  readonly liveShare?: number;
  /** How many inputs of embeddings requests go in one call. Default 1: each request has a call of its own. */
  readonly embeddingsPerCall?: number;
  /** How many tokens such a call has at most. Default 300,000. */
  readonly embeddingTokensPerCall?: number;
  /** Whether requests with the same long start wait for the first of them. Default false. */
  readonly promptCache?: boolean;
}

/** OpenAI advises it. Source: https://developers.openai.com/api/docs/guides/flex-processing */
const defaultFlexTimeoutMs = 900_000;
const defaultFlexPriceShare = 0.5;

const buildFlex = (config: z.infer<typeof flexConfig>, presetShare: number | undefined): FlexConfig => ({
  limits: buildLimits(config),
  timeoutMs: config.timeoutMs ?? defaultFlexTimeoutMs,
  priceShare: config.priceShare ?? presetShare ?? defaultFlexPriceShare,
});

const buildLaneConfig = (
  config: Omit<z.infer<typeof modelConfig>, 'prices'>,
  presetShare: number | undefined,
  deployments: readonly DeploymentConfig[],
): LaneConfig => ({
  limits: buildLimits(config),
  ...(deployments.length > 0 ? { deployments } : {}),
  ...(config.flex ? { flex: buildFlex(config.flex, presetShare) } : {}),
  ...(config.tiers ? { tiers: config.tiers } : {}),
  ...(config.fallback ? { fallback: config.fallback } : {}),
  ...(config.liveShare === undefined ? {} : { liveShare: config.liveShare }),
  ...(config.embeddingsPerCall === undefined ? {} : { embeddingsPerCall: config.embeddingsPerCall }),
  ...(config.embeddingTokensPerCall === undefined ? {} : { embeddingTokensPerCall: config.embeddingTokensPerCall }),
  ...(config.promptCache === undefined ? {} : { promptCache: config.promptCache }),
});

const providerConfig = z.strictObject({
  ...laneConfig,
  ...destinationOptions,
  /** Keys or endpoints that share the calls of the provider's lanes. */
  deployments: deploymentsConfig.optional(),
  /** Whether the key may go over `http://` to a host that is not in a private network. */
  allowInsecureHttp: z.boolean().optional(),
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
  /** The provider's own batch API, which large batches with enough time go through. Absent: none do. */
  batchApi: batchApiConfig.optional(),
  /** Pause between probes of a provider that takes no call until someone acts, in milliseconds. */
  probeIntervalMs: z.int().positive().optional(),
  /**
   * Models with limits, and so a lane, of their own. A model without a fallback or share has its provider's. One of which
   * only `prices` is said has no lane of its own.
   */
  models: z.record(z.string(), modelConfig).optional(),
});

/** The content of `promptmill.yaml`. Unknown keys are refused. */
export const fileConfig = z.strictObject({
  providers: z.record(z.string().regex(nameRule), providerConfig).default({}),
  /** The provider of a model whose name begins with none. */
  defaultProvider: z.string().optional(),
  /** What each tenant may use of what all need. */
  tenants: tenantsConfig.default({}),
  /** Where the operator is told of batches. */
  webhooks: webhooksConfig.default({}),
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

/** An OpenAI-compatible endpoint, ready to be called. */
export interface Provider extends LaneConfig, Destination {
  readonly name: string;
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
  /** Absent: its requests are live calls. */
  readonly batchApi?: BatchApi;
  /** Models with a lane of their own. */
  readonly models: Readonly<Record<string, LaneConfig>>;
  /** What the configuration says of models' prices. */
  readonly prices: Readonly<Record<string, Prices>>;
}

export interface ProviderSet {
  readonly providers: Readonly<Record<string, Provider>>;
  /** For each preset that is not there, the variable that brings it. */
  readonly absent: Readonly<Record<string, string>>;
  readonly defaultProvider?: string;
}

export interface BuildProvidersOptions {
  /** Whether PROMPTMILL_CONFIG names the configuration file. A file that was found is trusted less. Default false. */
  readonly isFileNamed?: boolean;
}

const buildProvider = (
  name: string,
  config: ProviderConfig,
  env: Environment,
  { isFileNamed = false }: BuildProvidersOptions,
): Provider => {
  const preset = presetNamed(name);
  const presetUrl = preset && baseUrlOf(name, preset, env);
  const rules = { name, env, isFileNamed, allowInsecureHttp: config.allowInsecureHttp ?? false };
  const build = (path: string, destination: DestinationConfig): Destination =>
    buildDestination(path, destination, presetUrl, rules);
  const path = `providers.${name}`;
  const deployments = buildDeployments(config.deployments, { path, provider: config, build });
  const [first] = deployments;
  // Where each deployment has a base URL, the provider needs none: nothing else is called.
  const { baseUrl, apiKeyEnv, apiKey } =
    first && config.baseUrl === undefined && presetUrl === undefined ? first : build(path, config);
  const { connectTimeoutMs, firstByteTimeoutMs, idleTimeoutMs, streamUsage = preset?.streamUsage } = config;
  const flexPriceShare = preset?.flexPriceShare;
  const named = Object.entries(config.models ?? {});
  const models = named.filter(([, { prices, ...lane }]) => prices === undefined || Object.keys(lane).length > 0);
  const priced = named.flatMap(([model, { prices }]) => (prices ? [[model, prices] as const] : []));
  return {
    name,
    baseUrl,
    ...(apiKeyEnv === undefined ? {} : { apiKeyEnv }),
    ...(apiKey === undefined ? {} : { apiKey }),
    timeoutMs: config.timeoutMs ?? defaultTimeoutMs,
    ...(connectTimeoutMs === undefined ? {} : { connectTimeoutMs }),
    ...(firstByteTimeoutMs === undefined ? {} : { firstByteTimeoutMs }),
    ...(idleTimeoutMs === undefined ? {} : { idleTimeoutMs }),
    ...(streamUsage === undefined ? {} : { streamUsage }),
    probeIntervalMs: config.probeIntervalMs ?? defaultProbeIntervalMs,
    ...(preset?.embeddingsPerCall === undefined ? {} : { embeddingsPerCall: preset.embeddingsPerCall }),
    ...(preset?.promptCache === undefined ? {} : { promptCache: preset.promptCache }),
    ...(config.batchApi === undefined ? {} : { batchApi: buildBatchApi(config.batchApi) }),
    ...(flexPriceShare === undefined && !config.tiers?.includes('flex') ? {} : { flex: buildFlex({}, flexPriceShare) }),
    ...buildLaneConfig(config, flexPriceShare, deployments),
    models: Object.fromEntries(
      models.map(([model, lane]) => [
        model,
        buildLaneConfig(
          lane,
          flexPriceShare,
          buildDeployments(lane.deployments, { path: `${path}.models.${model}`, provider: config, build }),
        ),
      ]),
    ),
    prices: { ...preset?.prices, ...Object.fromEntries(priced) },
  };
};

/** Whether a preset is there: everybody knows its host and some process may have its key, or the environment says where it is. */
const isThere = (name: string, env: Environment): boolean => {
  const preset = presetNamed(name);
  return (preset?.baseUrl !== undefined && !preset.isLocal) || Boolean(env[baseUrlEnvOf(name)]);
};

/**
 * Builds the presets and every provider that the configuration names, with the keys in `env`. A local preset, and one whose
 * host is its user's own, is there only when the configuration names it or its base URL is set. Throws {@link ConfigError} for a provider without a base
 * URL, for a key that may not go where its provider is, and for a default provider that does not exist.
 */
export const buildProviders = (
  config: FileConfig,
  env: Environment,
  options: BuildProvidersOptions = {},
): ProviderSet => {
  const named = Object.keys(config.providers);
  const absent = Object.keys(presets).filter((name) => !named.includes(name) && !isThere(name, env));
  const names = new Set([...Object.keys(presets), ...named]);
  const providers = Object.fromEntries(
    [...names]
      .filter((name) => !absent.includes(name))
      .map((name) => [name, buildProvider(name, config.providers[name] ?? {}, env, options)]),
  );
  const set = { providers, absent: Object.fromEntries(absent.map((name) => [name, baseUrlEnvOf(name)])) };
  const { defaultProvider } = config;
  if (defaultProvider === undefined) return set;
  if (!Object.hasOwn(providers, defaultProvider))
    throw new ConfigError(
      `defaultProvider: ${defaultProvider} is not among the providers` +
        (absent.includes(defaultProvider) ? `; set ${baseUrlEnvOf(defaultProvider)}` : ''),
    );
  return { ...set, defaultProvider };
};
