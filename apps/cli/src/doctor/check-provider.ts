import { randomUUID } from 'node:crypto';
import { ConfigError, type Provider } from '@promptmill/core';
import { type CallFailure, createProviderClient, type ProviderClient } from '@promptmill/provider';
import { type Check, checksOf } from './check.ts';
import { checkConnection } from './check-connection.ts';

export interface CheckProviderOptions {
  /** Whether to make a call of one token, which costs a little. */
  readonly call: boolean;
  /** The model to call, with or without its provider's name before it. Default: the first that the configuration names for the provider. */
  readonly model: string | undefined;
  /** Whether other deployments take its calls while its key is missing. */
  readonly isSpare: boolean;
  readonly signal: AbortSignal;
}

/** What to do about a failed call, by its code. */
const hintFor = ({ code, class: failureClass }: CallFailure, provider: Provider): string => {
  const key = provider.apiKeyEnv ?? `providers.${provider.name}.apiKeyEnv`;
  switch (code) {
    case 'authentication_failed':
      return provider.apiKeyEnv === undefined
        ? `It wants a key: name its variable in providers.${provider.name}.apiKeyEnv.`
        : `The key in ${key} is wrong, or no longer valid: get one from the provider and export it again.`;
    case 'permission_denied':
      return `The key in ${key} may not do this: change its permissions, or try another model with --model.`;
    case 'payment_required':
    case 'insufficient_quota':
      return 'The account has no money or quota left: add some, or set a fallback.';
    case 'not_found':
      return `Either the model is not there, or providers.${provider.name}.baseUrl is wrong: it ends where /chat/completions begins.`;
    case 'rate_limited':
      return 'It works, but is at its rate limit just now.';
    case 'request_timeout':
      return `It is slow or stuck; providers.${provider.name}.timeoutMs is ${provider.timeoutMs}.`;
    case 'invalid_answer':
    case 'unexpected_redirect':
      return `Is providers.${provider.name}.baseUrl that of an OpenAI-compatible API? A proxy may have answered.`;
    default:
      return failureClass === 'retry' ? "It may be temporary: try again, and look at the provider's status page." : '';
  }
};

/** What went wrong, with the address of a connection that failed: it is for the operator. */
const textOf = ({ message, detail }: CallFailure): string => (detail === undefined ? message : `${message}: ${detail}`);

/** Whether the provider took the key and refused only this test call. */
const isRefusedTest = ({ code }: CallFailure): boolean =>
  code === 'bad_request' || code === 'unprocessable_request' || code === 'request_refused' || code === 'rate_limited';

const ownName = ({ name }: Provider, model: string): string =>
  model.startsWith(`${name}/`) ? model.slice(name.length + 1) : model;

const checkKey = ({ name, apiKeyEnv, apiKey }: Provider, isSpare: boolean): Check | undefined => {
  const { ok, warning, failed } = checksOf(name);
  if (apiKeyEnv === undefined) return undefined;
  if (apiKey !== undefined) return ok(`${apiKeyEnv} is set`);
  return (isSpare ? warning : failed)(`${apiKeyEnv} is not set`, `export ${apiKeyEnv}=…`);
};

/** Asks for the list of models. A provider without a list gets a warning only. */
const checkModels = async (client: ProviderClient, provider: Provider, signal: AbortSignal) => {
  const { ok, warning, failed } = checksOf(provider.name);
  const list = await client.listModels(signal);
  if (list.kind === 'aborted') throw signal.reason;
  if (list.kind === 'models') return { check: ok(`lists ${list.names.length} models`), names: list.names };
  if (list.code === 'not_found')
    return { check: warning('has no list of models, or its base URL is wrong', hintFor(list, provider)), names: [] };
  return { check: failed(textOf(list), hintFor(list, provider)), names: [] };
};

interface CheckCallOptions {
  readonly client: ProviderClient;
  readonly provider: Provider;
  readonly model: string;
  readonly signal: AbortSignal;
}

const checkCall = async ({ client, provider, model, signal }: CheckCallOptions): Promise<Check> => {
  const { ok, warning, failed } = checksOf(provider.name);
  const startedAt = performance.now();
  const result = await client.call({
    url: '/v1/chat/completions',
    body: { model, messages: [{ role: 'user', content: 'Hi' }], max_tokens: 1 },
    idempotencyKey: `doctor-${randomUUID()}`,
    signal,
  });
  if (result.kind === 'aborted' || result.kind === 'unsent') throw signal.reason;
  if (result.kind === 'success')
    return ok(`${model} answered a call of one token in ${Math.round(performance.now() - startedAt)} ms`);
  const hint = hintFor(result, provider);
  return isRefusedTest(result)
    ? warning(`took the key but not this call to ${model}: ${result.message}`, hint || 'Try another with --model.')
    : failed(textOf(result), hint);
};

/** Checks a provider in order: key, connection, list of models, call. It stops when the next check cannot succeed. */
export const checkProvider = async (
  provider: Provider,
  { call, model, isSpare, signal }: CheckProviderOptions,
): Promise<readonly Check[]> => {
  const key = checkKey(provider, isSpare);
  const checks = key ? [key] : [];
  if (key && key.status !== 'ok') return checks;
  const connection = await checkConnection(provider.name, provider.baseUrl);
  checks.push(connection);
  if (connection.status === 'failed') return checks;

  let client: ProviderClient;
  try {
    client = createProviderClient(provider, { maxConnections: 1 });
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    return [
      ...checks,
      checksOf(provider.name).failed(error.message, `export ${provider.apiKeyEnv}=… without that character`),
    ];
  }
  try {
    const { check, names } = await checkModels(client, provider, signal);
    checks.push(check);
    if (!call || check.status === 'failed') return checks;
    // A server without a key lists the models it was started with. A large provider's first model may be no chat model.
    const chosen =
      (model && ownName(provider, model)) ??
      Object.keys(provider.models)[0] ??
      (provider.apiKeyEnv === undefined ? names[0] : undefined);
    if (chosen !== undefined) return [...checks, await checkCall({ client, provider, model: chosen, signal })];
    const { warning } = checksOf(provider.name);
    return [...checks, warning('no call was made', 'Name a model: --model …')];
  } finally {
    await client.close();
  }
};
