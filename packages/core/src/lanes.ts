import { ConfigError } from './config-error.ts';
import type { DeploymentConfig } from './deployment-config.ts';
import { lacksKey } from './destination.ts';
import type { Endpoint } from './endpoints.ts';
import type { LaneLimits } from './lane-limits.ts';
import type { FlexConfig, Provider, ProviderSet } from './provider-config.ts';
import type { RequestBody } from './request-line.ts';
import { asksForFlex, mayBeFlex, namesNoTier, type ServiceTier } from './service-tier.ts';

/** One of several keys or endpoints that share the calls of a lane. */
export interface Deployment {
  /** `lane@deployment`: no lane has such a name. */
  readonly name: string;
  /** The lane's provider, with this deployment's base URL and key. */
  readonly provider: Provider;
  /** Its own limits. */
  readonly limits: LaneLimits;
  /** Its own name for the model, instead of the one by which the lane knows it. */
  readonly model?: string;
}

/**
 * One BullMQ queue with its own limits: a provider's, that of one of its models with limits of its own, or the flex lane of
 * either.
 */
export interface Lane {
  readonly name: string;
  readonly provider: Provider;
  /** Those of all its deployments together, where it has any. */
  readonly limits: LaneLimits;
  /** Where its calls go. None: to its provider itself. */
  readonly deployments: readonly Deployment[];
  /** Models that take over its requests, in order. No two are in the same lane. */
  readonly fallback: readonly string[];
  /** What live calls may take of it while batch requests wait in it too, between 0 and 1. */
  readonly liveShare: number;
  /** How many inputs of embeddings requests go in one call. 1: each request has a call of its own. */
  readonly embeddingsPerCall: number;
  /** How many tokens such a call has at most. */
  readonly embeddingTokensPerCall: number;
  /** Whether requests with the same long start wait for the first of them. */
  readonly promptCache: boolean;
  /** Set for a flex lane: its calls name this tier. Its fallbacks are those of the lane that it belongs to. */
  readonly tier?: 'flex';
  /** The flex lane of its models. */
  readonly flex?: Lane;
  /** The tiers through which requests of batches go, in order, when they do not say otherwise. */
  readonly tiers: readonly ServiceTier[];
}

export const defaultLiveShare = 0.9;
const defaultEmbeddingTokensPerCall = 300_000;

export interface Route {
  readonly lane: Lane;
  /** The provider's own name for the model. */
  readonly model: string;
}

/** `provider/model` */
export const fullModelName = ({ lane, model }: Route): string => `${lane.provider.name}/${model}`;

/** Every lane of a configuration, and the way from a model's name to its lane. */
export interface LaneTable {
  readonly lanes: readonly Lane[];
  /** Where a model's requests go; undefined when no provider takes the model. */
  route(model: string): Route | undefined;
  /** The variable to set so that a model's provider is there; undefined when the model names no preset, or one that is. */
  missingVariable(model: string): string | undefined;
}

/** The queue with a job for each batch. No provider may have its name. */
export const batchesQueueName = 'batches';
/** The queue with a job for each batch that is finalized. No provider may have its name. */
export const finalizeQueueName = 'finalize';
/** The queue with a job for each delivery of a webhook. No provider may have its name. */
export const webhooksQueueName = 'webhooks';
/** The queue with a job for each shard that goes through a provider's batch API. No provider may have its name. */
export const shardsQueueName = 'shards';
const queueNames = new Set<string>([batchesQueueName, finalizeQueueName, webhooksQueueName, shardsQueueName]);

// BullMQ forbids `:` in queue names; a model's name may hold `:` and `/`.
const laneNameOf = (provider: string, model?: string): string =>
  model === undefined ? provider : `${provider}.${model.replace(/[^A-Za-z0-9._-]+/g, '-')}`;

const buildDeployment = (
  lane: string,
  { apiKeyEnv: _env, apiKey: _key, ...provider }: Provider,
  { name, limits, model, ...destination }: DeploymentConfig,
): Deployment => ({
  name: `${lane}@${name}`,
  provider: { ...provider, ...destination },
  limits,
  ...(model === undefined ? {} : { model }),
});

/** Where the calls of a lane go: to its deployments, or else to its provider. */
export const calledBy = ({ deployments, provider }: Pick<Lane, 'deployments' | 'provider'>): readonly Provider[] =>
  deployments.length > 0 ? deployments.map((deployment) => deployment.provider) : [provider];

/** The variable to set so that a lane can be called here; undefined when it can be: one deployment's key is enough. */
export const missingKeyOf = (lane: Pick<Lane, 'deployments' | 'provider'>): string | undefined => {
  const called = calledBy(lane);
  return called.every(lacksKey) ? called[0]?.apiKeyEnv : undefined;
};

/** A provider as its flex lane calls it: such calls may take long, to their first byte too. */
const flexProvider = (provider: Provider, { timeoutMs }: FlexConfig): Provider => {
  const { firstByteTimeoutMs: _first, idleTimeoutMs: _idle, ...rest } = provider;
  return { ...rest, timeoutMs };
};

/** @param flexOfProvider the provider's flex lane, which its models share */
const buildLane = (provider: Provider, model?: string, flexOfProvider?: Lane): Lane => {
  const own = model === undefined ? undefined : provider.models[model];
  const name = laneNameOf(provider.name, model);
  const tiers = own?.tiers ?? provider.tiers ?? ['standard'];
  const deploymentsIn = (ofLane: string, by: Provider): Deployment[] =>
    (own?.deployments ?? provider.deployments ?? []).map((deployment) => buildDeployment(ofLane, by, deployment));
  const lane: Lane = {
    name,
    provider,
    limits: (own ?? provider).limits,
    deployments: deploymentsIn(name, provider),
    fallback: own?.fallback ?? provider.fallback ?? [],
    liveShare: own?.liveShare ?? provider.liveShare ?? defaultLiveShare,
    embeddingsPerCall: own?.embeddingsPerCall ?? provider.embeddingsPerCall ?? 1,
    embeddingTokensPerCall:
      own?.embeddingTokensPerCall ?? provider.embeddingTokensPerCall ?? defaultEmbeddingTokensPerCall,
    promptCache: own?.promptCache ?? provider.promptCache ?? false,
    tiers,
  };
  const config = own ? own.flex : provider.flex;
  if (!config) return flexOfProvider ? { ...lane, flex: flexOfProvider } : lane;
  const flexName = `${name}.flex`;
  const flexLane = { provider: flexProvider(provider, config), limits: config.limits, tier: 'flex' } as const;
  // What limits a deployment limits its standard calls.
  const deployments = deploymentsIn(flexName, flexLane.provider).map((each) => Object.assign(each, { limits: {} }));
  return { ...lane, flex: { ...lane, ...flexLane, name: flexName, deployments } };
};

/** All lanes of a provider. Its own comes first. */
const lanesOfProvider = (provider: Provider): Lane[] => {
  const own = buildLane(provider);
  const lanes = [own, ...Object.keys(provider.models).map((model) => buildLane(provider, model, own.flex))];
  const flexLanes = new Set(lanes.flatMap(({ flex }) => flex ?? []));
  return [...lanes, ...flexLanes];
};

/** Whether requests in the flex lane of this lane may step up to it. */
export const mayStepUp = ({ tiers }: Lane): boolean => tiers.includes('standard');

/**
 * The flex lane of a request that asks for flex, in its own body or through its batch; undefined where it goes to the
 * standard lane.
 *
 * @param asked the tier that its batch asks for. Default: the first of the lane's tiers
 */
export const flexLaneOf = (
  { flex, tiers }: Lane,
  { url, body }: { readonly url: Endpoint; readonly body: RequestBody },
  asked: ServiceTier | undefined = tiers[0],
): Lane | undefined => {
  const wantsFlex = asksForFlex(url, body) || (asked === 'flex' && mayBeFlex(url) && namesNoTier(body));
  return wantsFlex ? flex : undefined;
};

/**
 * The names under which the holds and errors of a lane are kept: those of its deployments, or else its own, also when it is
 * not configured here.
 */
export const upstreamsOf = ({ lanes }: Pick<LaneTable, 'lanes'>, name: string): readonly string[] => {
  const deployments = lanes.find((lane) => lane.name === name)?.deployments ?? [];
  return deployments.length > 0 ? deployments.map((deployment) => deployment.name) : [name];
};

const whatToSet = (table: LaneTable, model: string): string => {
  const variable = table.missingVariable(model);
  return variable === undefined ? '' : `; set ${variable}`;
};

/** Why no provider takes a model, and what to do, for the one who named it. */
export const describeMissing = (table: LaneTable, model: string): string => {
  const variable = table.missingVariable(model);
  return variable === undefined
    ? `No provider is configured for the model \`${model}\`. Name one as provider/model.`
    : `The provider of the model \`${model}\` is not configured: ${variable} is not set where Promptmill runs.`;
};

/**
 * The same lanes, with no way to those whose provider has no key here. For a process that is alone: no other process
 * has the key.
 */
export const onlyWithKeys = (table: LaneTable): LaneTable => {
  const lacking = (model: string): string | undefined => {
    const lane = table.route(model)?.lane;
    return lane && missingKeyOf(lane);
  };
  return {
    lanes: table.lanes,
    route: (model) => (lacking(model) ? undefined : table.route(model)),
    missingVariable: (model) => lacking(model) ?? table.missingVariable(model),
  };
};

/**
 * Throws {@link ConfigError} for a fallback that no provider takes, or that leads back to a lane of its chain: BullMQ
 * would take the request's second job there for its first, since both have the same id.
 */
const checkFallbacks = (table: LaneTable): void => {
  for (const { name, fallback, tier } of table.lanes) {
    if (tier) continue;
    const passed = new Set([name]);
    for (const model of fallback) {
      const next = table.route(model)?.lane.name;
      if (next === undefined)
        throw new ConfigError(`the lane ${name}: no provider takes its fallback ${model}${whatToSet(table, model)}`);
      if (passed.has(next))
        throw new ConfigError(`the lane ${name}: its fallback ${model} leads back to the lane ${next}`);
      passed.add(next);
    }
  }
};

/**
 * Builds all lanes of a configuration. Throws {@link ConfigError} when two models need a lane of the same name, when a
 * lane has the name of another queue, or when a fallback leads nowhere or back.
 */
export const buildLanes = ({ providers, absent, defaultProvider }: ProviderSet): LaneTable => {
  const lanes = new Map<string, Lane>();
  for (const provider of Object.values(providers))
    for (const lane of lanesOfProvider(provider)) {
      if (queueNames.has(lane.name))
        throw new ConfigError(`providers.${provider.name}: the name is taken by a queue of Promptmill`);
      if (lanes.has(lane.name)) throw new ConfigError(`two models need the lane ${lane.name}`);
      lanes.set(lane.name, lane);
    }
  // The caller chooses the model's name: `constructor/x` must not find what every object has.
  const providerNamed = (name: string): Provider | undefined =>
    Object.hasOwn(providers, name) ? providers[name] : undefined;
  const routeTo = (provider: Provider, model: string): Route | undefined => {
    const lane = lanes.get(laneNameOf(provider.name, Object.hasOwn(provider.models, model) ? model : undefined));
    return lane && { lane, model };
  };
  const table: LaneTable = {
    lanes: [...lanes.values()],
    route(model) {
      const slash = model.indexOf('/');
      const named = slash > 0 ? providerNamed(model.slice(0, slash)) : undefined;
      if (named && slash < model.length - 1) return routeTo(named, model.slice(slash + 1));
      const provider = defaultProvider === undefined ? undefined : providerNamed(defaultProvider);
      return provider && routeTo(provider, model);
    },
    missingVariable(model) {
      const name = model.slice(0, Math.max(0, model.indexOf('/')));
      return Object.hasOwn(absent, name) ? absent[name] : undefined;
    },
  };
  checkFallbacks(table);
  return table;
};
