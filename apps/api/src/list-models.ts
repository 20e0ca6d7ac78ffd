import type { ApiDependencies } from './dependencies.ts';

/** The simulator needs no key and no real model, so it is listed wherever it is configured. */
const simulatorModel = { provider: 'simulator', model: 'echo' };

/**
 * `GET /v1/models`: the models that the configuration names. A provider's other models work as `provider/model` too,
 * but only the provider knows their names. Only the workers know whether a key is set.
 */
export const listModels = ({ config, now }: Pick<ApiDependencies, 'config' | 'now'>) => {
  const created = Math.floor(now() / 1000);
  const providers = [...new Set(config.lanes.lanes.map((lane) => lane.provider))];
  const configured = providers.flatMap(({ name, models, prices }) =>
    Object.keys({ ...models, ...prices }).map((model) => ({ provider: name, model })),
  );
  const hasSimulator = config.lanes.route('simulator/echo') !== undefined;
  const data = [...configured, ...(hasSimulator ? [simulatorModel] : [])].map(({ provider, model }) => ({
    id: `${provider}/${model}`,
    object: 'model' as const,
    created,
    owned_by: provider,
  }));
  return async () => ({ object: 'list' as const, data });
};
