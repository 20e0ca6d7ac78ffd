import { ConfigError, lacksKey, type LaneTable, type Provider } from '@promptmill/core';
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

/** The named provider, or all providers whose key is set. */
const chosenProviders = (table: LaneTable, name: string | undefined): readonly Provider[] => {
  const providers = providersOf(table);
  if (name === undefined) return [...providers.values()].filter(({ apiKey }) => apiKey !== undefined);
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
  return [provider];
};

/** Warns of each fallback that is passed over because its key is not set. */
const checkFallbacks = (table: LaneTable): readonly Check[] => {
  const { warning } = checksOf('fallback');
  const models = new Set(table.lanes.flatMap(({ fallback }) => fallback));
  return [...models].flatMap((model) => {
    const provider = table.route(model)?.lane.provider;
    if (!provider || !lacksKey(provider)) return [];
    const { apiKeyEnv } = provider;
    return [warning(`${model} is passed over: ${apiKeyEnv} is not set`, `export ${apiKeyEnv}=…`)];
  });
};

const runChecks = async (config: Config, options: DoctorOptions, signal: AbortSignal): Promise<readonly Check[]> => {
  const { provider: name, call = name !== undefined, model } = options;
  const { store, redisIsNamed } = config;
  const providers = chosenProviders(config.lanes, name);
  const checked = await Promise.all([
    checkRedis(config),
    ...(store.kind === 's3' ? [checkStore(store)] : []),
    // The embedded Redis keeps its data there too.
    ...(store.kind === 'disk' || !redisIsNamed ? [checkDataFolder(config.dataDirectory)] : []),
    ...providers.map((provider) => checkProvider(provider, { call, model, signal })),
  ]);
  const fallbacks = checkFallbacks(config.lanes);
  const noProvider = checksOf('providers').warning(
    'no provider has its key set',
    'export XAI_API_KEY=… (or another), or OLLAMA_BASE_URL=http://127.0.0.1:11434/v1, for one that needs none',
  );
  return [...checked.flat(), ...fallbacks, ...(providers.length === 0 ? [noProvider] : [])];
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
