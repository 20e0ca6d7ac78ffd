import { z } from 'zod';
import { ConfigError } from './config-error.ts';
import type { Environment } from './environment.ts';
import { keyProblem } from './key-place.ts';
import { baseUrlEnvOf, presetNamed } from './presets.ts';

/** Where calls go, and with which key. */
export interface Destination {
  readonly baseUrl: string;
  /** The environment variable with its key. Absent for a provider that needs no key. */
  readonly apiKeyEnv?: string;
  /** Absent when the variable is not set. */
  readonly apiKey?: string;
}

/** A destination, as the configuration writes it. */
export const destinationOptions = {
  baseUrl: z.url({ protocol: /^https?$/ }).optional(),
  /** The environment variable that holds the key. */
  apiKeyEnv: z.string().min(1).optional(),
};

export interface DestinationConfig {
  readonly baseUrl?: string | undefined;
  readonly apiKeyEnv?: string | undefined;
}

/** Whether a provider or a deployment needs a key and has none here. */
export const lacksKey = ({ apiKeyEnv, apiKey }: Pick<Destination, 'apiKeyEnv' | 'apiKey'>): boolean =>
  apiKeyEnv !== undefined && apiKey === undefined;

export interface DestinationRules {
  /** The provider's name. */
  readonly name: string;
  readonly env: Environment;
  /** Whether PROMPTMILL_CONFIG names the configuration file. A file that was found is trusted less. */
  readonly isFileNamed: boolean;
  readonly allowInsecureHttp: boolean;
}

/** The variable with a provider's key. A local preset has one only when it is set. */
const keyVariableOf = (name: string, config: DestinationConfig, env: Environment): string | undefined => {
  if (config.apiKeyEnv !== undefined) return config.apiKeyEnv;
  const preset = presetNamed(name);
  if (!preset?.isLocal) return preset?.apiKeyEnv;
  return config.baseUrl === undefined && env[preset.apiKeyEnv] ? preset.apiKeyEnv : undefined;
};

/**
 * Says where calls go and with which key.
 *
 * @param path where the configuration says it, for messages
 * @param presetUrl the base URL where the configuration gives none
 * @throws ConfigError where there is no base URL, or the key may not go to it
 */
export const buildDestination = (
  path: string,
  config: DestinationConfig,
  presetUrl: string | undefined,
  { name, env, isFileNamed, allowInsecureHttp }: DestinationRules,
): Destination => {
  const baseUrl = config.baseUrl ?? presetUrl;
  const preset = presetNamed(name);
  if (!baseUrl)
    throw new ConfigError(
      `${path}: ` +
        (preset
          ? `it has a host of its own for each user: set ${baseUrlEnvOf(name)}=${preset.exampleUrl}`
          : `baseUrl is missing (${name} is not a preset)`),
    );
  if (!/^https?:\/\//.test(baseUrl) || !URL.canParse(baseUrl))
    throw new ConfigError(`${path}: its base URL must start with http:// or https://`);
  const apiKeyEnv = keyVariableOf(name, config, env);
  if (apiKeyEnv === undefined) return { baseUrl };
  const place = { name, baseUrl, apiKeyEnv, isNamedInFile: config.apiKeyEnv !== undefined, allowInsecureHttp };
  const problem = keyProblem(place, { env, isFileNamed });
  if (problem !== undefined) throw new ConfigError(`${path}: ${problem}`);
  const apiKey = env[apiKeyEnv];
  return { baseUrl, apiKeyEnv, ...(apiKey ? { apiKey } : {}) };
};
