import { ConfigError, type LaneTable, missingKeyOf, type Provider } from '@promptmill/core';
import { type Config, loadConfig } from '@promptmill/runtime';
import { CliError } from '../cli-error.ts';
import type { CliContext } from '../context.ts';
import { type Check, checksOf, checkText } from '../doctor/check.ts';
import { checkDataFolder } from '../doctor/check-data-folder.ts';
import { checkProvider } from '../doctor/check-provider.ts';
import { checkRedis } from '../doctor/check-redis.ts';
import { checkStore } from '../doctor/check-store.ts';
import { describeSources } from '../roles/describe-sources.ts';
import { printable } from '../terminal.ts';

export interface DoctorOptions {
  /** Checks only this provider, with a call. */
  readonly provider?: string;
  /** Whether to call each provider for one token. Default: only when `provider` is set. */
  readonly call?: boolean;
  /** The model to call, as the provider names it. */
  readonly model?: string;
  readonly json?: boolean;
}

const providersOf = ({ lanes }: LaneTable): ReadonlyMap<string, Provider> =>
  // A flex lane's provider differs in its time limit alone.
  new Map(lanes.flatMap(({ provider, tier }) => (tier ? [] : [[provider.name, provider]])));

/** A provider or a deployment to check. */
interface Target {
  /** Its name is where the configuration says it: `azure.deployments.east`. */
  readonly provider: Provider;
  /** The model to call, by its own name for it. Undefined: any. */
  readonly model: string | undefined;
  /** Whether others take its calls while its key is missing. */
  readonly isSpare: boolean;
}

/** Whatever the calls to a provider go to, each base URL and key once. */
const targetsOf = ({ lanes }: LaneTable, { name }: Provider): readonly Target[] => {
  const found = new Map<string, Target>();
  for (const lane of lanes.filter(({ provider }) => provider.name === name)) {
    const isSpare = lane.deployments.length > 1 && missingKeyOf(lane) === undefined;
    const deployments = lane.deployments.map((deployment): Target => {
      const path = `${name}.deployments.${deployment.name.slice(lane.name.length + 1)}`;
      return { provider: { ...deployment.provider, name: path }, model: deployment.model, isSpare };
    });
    for (const target of deployments.length > 0
      ? deployments
      : [{ provider: lane.provider, model: undefined, isSpare }]) {
      const { baseUrl, apiKeyEnv = '' } = target.provider;
      const place = `${baseUrl} ${apiKeyEnv}`;
      const known = found.get(place);
      if (!known || (known.model === undefined && target.model !== undefined)) found.set(place, target);
    }
  }
  return [...found.values()];
};

/** What the named provider calls, or all providers of which a key is set. */
const chosenTargets = (table: LaneTable, name: string | undefined): readonly Target[] => {
  const providers = providersOf(table);
  if (name === undefined) {
    const targets = [...providers.values()].map((provider) => targetsOf(table, provider));
    return targets.filter((each) => each.some(({ provider }) => provider.apiKey !== undefined)).flat();
  }
  const provider = providers.get(name);
  if (!provider && table.missingVariable(`${name}/`) !== undefined)
    throw new CliError(
      'provider_missing',
      `${name} is not configured: set ${table.missingVariable(`${name}/`)}, or name it in promptmill.yaml`,
    );
  if (!provider)
    throw new CliError(
      'provider_not_found',
      `there is no provider ${name}: name one of ${[...providers.keys()].join(', ')}`,
    );
  return targetsOf(table, provider);
};

/** Warns of each fallback that is passed over because its key is not set. */
const checkFallbacks = (table: LaneTable): readonly Check[] => {
  const { warning } = checksOf('fallback');
  const models = new Set(table.lanes.flatMap(({ fallback }) => fallback));
  return [...models].flatMap((model) => {
    const lane = table.route(model)?.lane;
    const variable = lane && missingKeyOf(lane);
    if (variable === undefined) return [];
    return [warning(`${model} is passed over: ${variable} is not set`, `export ${variable}=…`)];
  });
};

const runChecks = async (config: Config, options: DoctorOptions, signal: AbortSignal): Promise<readonly Check[]> => {
  const { provider: name, call = name !== undefined } = options;
  // A deployment's own name has no provider before it.
  const model = options.model?.startsWith(`${name}/`) ? options.model.slice(`${name}/`.length) : options.model;
  const { store, redisIsNamed } = config;
  const targets = chosenTargets(config.lanes, name);
  const checked = await Promise.all([
    checkRedis(config),
    ...(store.kind === 's3' ? [checkStore(store)] : []),
    // The embedded Redis keeps its data there too.
    ...(store.kind === 'disk' || !redisIsNamed ? [checkDataFolder(config.dataDirectory)] : []),
    ...targets.map(({ provider, model: own, isSpare }) =>
      checkProvider(provider, { call, model: own ?? model, isSpare, signal }),
    ),
  ]);
  const fallbacks = checkFallbacks(config.lanes);
  const noProvider = checksOf('providers').warning(
    'no provider has its key set',
    'export XAI_API_KEY=… (or another), or OLLAMA_BASE_URL=http://127.0.0.1:11434/v1, for one that needs none',
  );
  return [...checked.flat(), ...fallbacks, ...(targets.length === 0 ? [noProvider] : [])];
};

const load = (env: CliContext['env']): Config | Check => {
  try {
    return loadConfig(env);
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    return { name: 'configuration', status: 'failed', message: error.message };
  }
};

/** Checks all that a run needs, and prints a line for each check. The exit code is 1 when one failed. */
export const doctor = async (options: DoctorOptions, { env, stdout, screen, signal }: CliContext): Promise<number> => {
  const loaded = load(env);
  if (!('status' in loaded)) screen.write(`${describeSources(loaded)}\n`);
  const checks = 'status' in loaded ? [loaded] : await runChecks(loaded, options, signal);
  const text = options.json ? JSON.stringify(checks, undefined, 2) : checks.map(checkText).join('\n');
  stdout.write(`${options.json ? text : printable(text)}\n`);
  return checks.some(({ status }) => status === 'failed') ? 1 : 0;
};
