import type { ApiDependencies } from './dependencies.ts';

/** Answers without a model behind it, so it is always there to try things with. */
const simulatorModel = { provider: 'simulator', model: 'echo' };

/**
 * `GET /v1/models`: the models that the configuration names. A provider takes its other models as `provider/model` all the
 * same; which it has, only the provider knows. Whether its key is there, only the workers do.
 */
export const listModels = ({ config, now }: Pick<ApiDependencies, 'config' | 'now'>) => {
  const created = Math.floor(now() / 1000);
  const providers = [...new Set(config.lanes.lanes.map((lane) => lane.provider))];
  const configured = providers.flatMap(({ name, models }) =>
    Object.keys(models).map((model) => ({ provider: name, model })),
  );
  const data = [...configured, simulatorModel].map(({ provider, model }) => ({
    id: `${provider}/${model}`,
    object: 'model' as const,
    created,
    owned_by: provider,
  }));
  return async () => ({ object: 'list' as const, data });
};
