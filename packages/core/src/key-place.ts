import type { Environment } from './environment.ts';
import { baseUrlEnvOf, baseUrlOf, presets } from './presets.ts';
import { isPrivateHost } from './private-host.ts';

export interface KeyPlace {
  /** The provider's name. */
  readonly name: string;
  readonly baseUrl: string;
  /** The variable with the key that would go there. */
  readonly apiKeyEnv: string;
  /** Whether the configuration file itself names the variable. */
  readonly isNamedInFile: boolean;
  readonly allowInsecureHttp: boolean;
}

export interface KeyRules {
  readonly env: Environment;
  /** Whether PROMPTMILL_CONFIG names the file. One that was found in the current folder may be anybody's. */
  readonly isFileNamed: boolean;
}

/** Variables that hold secrets of something else. */
const otherSecrets = /^(?:PROMPTMILL|BOARD|REDIS|S3|AWS)_/i;
const keyName = /_(?:API_?KEY|KEY|TOKEN|SECRET)$/i;
const foundFileKeyName = /_API_KEY$/i;

/** What keeps a provider's key from being sent to its base URL, with what to do about it; undefined when nothing does. */
export const keyProblem = (place: KeyPlace, { env, isFileNamed }: KeyRules): string | undefined => {
  const { name, baseUrl, apiKeyEnv, isNamedInFile, allowInsecureHttp } = place;
  if (isNamedInFile && (otherSecrets.test(apiKeyEnv) || !keyName.test(apiKeyEnv)))
    return `apiKeyEnv: ${apiKeyEnv} is not the name of a provider's key; name a variable such as ${name.toUpperCase().replaceAll('-', '_')}_API_KEY`;
  const url = new URL(baseUrl);
  const [owner, preset] = Object.entries(presets).find(([, { apiKeyEnv: key }]) => key === apiKeyEnv) ?? [];
  const ownUrl = owner !== undefined && preset ? baseUrlOf(owner, preset, env) : undefined;
  const isOwnHost = ownUrl !== undefined && url.origin === new URL(ownUrl).origin;
  if (owner !== undefined && preset && !preset.isLocal && !isOwnHost && !(isFileNamed && isNamedInFile))
    return (
      `${apiKeyEnv} goes to ${preset.baseUrl ? new URL(preset.baseUrl).host : `the host of ${baseUrlEnvOf(owner)}`} only, and not to ${url.host}: ` +
      (isFileNamed
        ? `to send it there, write apiKeyEnv: ${apiKeyEnv} beside the baseUrl`
        : `set ${baseUrlEnvOf(owner)}=${baseUrl}, or name the file in PROMPTMILL_CONFIG and the variable in apiKeyEnv`)
    );
  if (isNamedInFile && !isFileNamed && !isOwnHost && !foundFileKeyName.test(apiKeyEnv))
    return `apiKeyEnv: a file that PROMPTMILL_CONFIG does not name may use variables that end in _API_KEY, and not ${apiKeyEnv}`;
  if (url.protocol === 'http:' && !isPrivateHost(url.hostname) && !allowInsecureHttp)
    return `its key would go to ${url.host} unencrypted: use https://, or write allowInsecureHttp: true`;
  return undefined;
};
