import { calledBy, type Lane, lacksKey, type LaneTable } from '@promptmill/core';
import type { Config } from '@promptmill/runtime';

const sourceText = ({ configFile, configSource }: Pick<Config, 'configFile' | 'configSource'>): string => {
  if (configSource === 'named') return configFile;
  return configSource === 'found' ? `${configFile} (found in this folder)` : 'none';
};

const hostsOf = (lanes: readonly Lane[]): readonly string[] => [
  ...new Set(
    lanes
      .flatMap(calledBy)
      .filter((provider) => !lacksKey(provider))
      .map(({ baseUrl }) => new URL(baseUrl).host),
  ),
];

/** The lanes of these providers, and those that their fallbacks lead to. */
const lanesThatMayCall = (table: LaneTable, providers: ReadonlySet<string>): readonly Lane[] => {
  const first = table.lanes.filter(({ provider }) => providers.has(provider.name));
  const models = first.flatMap(({ fallback }) => fallback);
  return [...first, ...models.flatMap((model) => table.route(model)?.lane ?? [])];
};

/**
 * One line that says which configuration file is used, and which hosts get prompts and keys: a file found in the
 * current folder may be anybody's.
 *
 * @param providers only these are used. Default: all that can be called.
 */
export const describeSources = (config: Config, providers?: ReadonlySet<string>): string => {
  const { lanes } = config;
  const hosts = hostsOf(providers ? lanesThatMayCall(lanes, providers) : lanes.lanes);
  return `configuration: ${sourceText(config)}; calls go to ${hosts.join(', ') || 'no host'}`;
};
