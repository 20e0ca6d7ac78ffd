import { ConfigError, type LaneLimits, type Provider, type ProviderSet } from './provider-config.ts';

/** One BullMQ queue with its own limits: a provider's, or that of one of its models with limits of its own. */
export interface Lane {
  readonly name: string;
  readonly provider: Provider;
  readonly limits: LaneLimits;
  /** Models that take its requests over, in order. Each is in a lane of its own. */
  readonly fallback: readonly string[];
}

export interface Route {
  readonly lane: Lane;
  /** The provider's own name for the model. */
  readonly model: string;
}

/** Every lane of a configuration, and the way from a model's name to its lane. */
export interface LaneTable {
  readonly lanes: readonly Lane[];
  /** undefined: no provider takes this model. */
  route(model: string): Route | undefined;
}

/** The queues beside the lanes: one job for each batch, and one for each finalizing. No provider may have their names. */
export const batchesQueueName = 'batches';
export const finalizeQueueName = 'finalize';

// BullMQ forbids `:` in queue names; a model's name may hold `:` and `/`.
const laneNameOf = (provider: string, model?: string): string =>
  model === undefined ? provider : `${provider}.${model.replace(/[^A-Za-z0-9._-]+/g, '-')}`;

const buildLane = (provider: Provider, model?: string): Lane => {
  const own = model === undefined ? undefined : provider.models[model];
  return {
    name: laneNameOf(provider.name, model),
    provider,
    limits: (own ?? provider).limits,
    fallback: own?.fallback ?? provider.fallback ?? [],
  };
};

/** A request never comes back to a lane that it has left: its job there would be taken for the one it has. */
const checkFallbacks = (table: LaneTable): void => {
  for (const { name, fallback } of table.lanes) {
    const passed = new Set([name]);
    for (const model of fallback) {
      const next = table.route(model)?.lane.name;
      if (next === undefined) throw new ConfigError(`the lane ${name}: no provider takes its fallback ${model}`);
      if (passed.has(next))
        throw new ConfigError(`the lane ${name}: its fallback ${model} leads back to the lane ${next}`);
      passed.add(next);
    }
  }
};

/**
 * Throws {@link ConfigError} when two models would share a lane's name, a lane would share another queue's, or a fallback
 * leads nowhere or back.
 */
export const buildLanes = ({ providers, defaultProvider }: ProviderSet): LaneTable => {
  const lanes = new Map<string, Lane>();
  for (const provider of Object.values(providers))
    for (const model of [undefined, ...Object.keys(provider.models)]) {
      const lane = buildLane(provider, model);
      if (lane.name === batchesQueueName || lane.name === finalizeQueueName)
        throw new ConfigError(`providers.${provider.name}: the name is taken by a queue of Promptmill`);
      if (lanes.has(lane.name)) throw new ConfigError(`two models need the lane ${lane.name}`);
      lanes.set(lane.name, lane);
    }
  // A model's name comes from the caller: `constructor/x` names no provider.
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
  };
  checkFallbacks(table);
  return table;
};
