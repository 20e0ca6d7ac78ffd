import { type LaneTable, missingKeyOf, presetNamed } from '@promptmill/core';
import { CliError } from '../cli-error.ts';

/** What to do about a preset that is not there. */
const adviceFor = (model: string, variable: string): string => {
  const { exampleUrl } = presetNamed(model.split('/', 1)[0] ?? '') ?? {};
  return exampleUrl === undefined
    ? `export ${variable}=http://… or name the provider in promptmill.yaml`
    : `export ${variable}=${exampleUrl}`;
};

/**
 * Checks that each model has a provider that can be called, and returns the names of these providers.
 *
 * @throws CliError `model_not_found`, `provider_missing`, `key_missing`.
 */
export const checkModels = (models: Iterable<string>, lanes: LaneTable): Set<string> => {
  const providers = new Set<string>();
  for (const model of models) {
    const lane = lanes.route(model)?.lane;
    const variable = lanes.missingVariable(model);
    if (!lane && variable !== undefined)
      throw new CliError(
        'provider_missing',
        `${variable} is not set: ${model} needs it; ${adviceFor(model, variable)}`,
      );
    if (!lane)
      throw new CliError(
        'model_not_found',
        `no provider takes the model ${model}: name one as provider/model (such as xai/${model}), or set defaultProvider in promptmill.yaml`,
      );
    const missing = missingKeyOf(lane);
    if (missing !== undefined)
      throw new CliError(
        'key_missing',
        `${missing} is not set: ${model} needs it; export ${missing}=… and run this again (to try it without a key: --model simulator/echo)`,
      );
    providers.add(lane.provider.name);
  }
  return providers;
};
