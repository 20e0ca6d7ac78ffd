import { readFileSync } from 'node:fs';
import { basename, join, resolve } from 'node:path';
import {
  buildLanes,
  buildProviders,
  buildWebhooks,
  ConfigError,
  type Environment,
  type FileConfig,
  fileConfig,
  type FileStoreLocation,
  isLoopback,
  type LaneTable,
  type OperatorWebhook,
  type RetryPolicy,
  type TenantsConfig,
} from '@promptmill/core';
import { parse as parseYaml } from 'yaml';
import type { z } from 'zod';
import { type ApiKey, environment, neverEmpty } from './environment.ts';
import type { FailPointSpec } from './fail-points.ts';
import type { TracingConfig } from './tracing.ts';

const defaultApiPort = 3000;
const defaultRedisUrl = 'redis://127.0.0.1:6379';
const defaultConfigFile = 'promptmill.yaml';

export interface Config {
  readonly apiPort: number;
  /** The port on which worker and collector serve their health. Undefined: they do not serve it. */
  readonly healthPort?: number;
  readonly host: string;
  /** A URL for core's `parseRedisUrl`. */
  readonly redisUrl: string;
  /** Whether REDIS_URL is set. If not, `run` and `serve` start a Redis of their own. */
  readonly redisIsNamed: boolean;
  /** How much memory the Redis that `run` and `serve` start may take, in Redis's notation. */
  readonly redisMaxmemory: string;
  /** The path of `promptmill.yaml`, absolute. The file may be missing. */
  readonly configFile: string;
  /** Whether PROMPTMILL_CONFIG names that file, or it was found in the current folder, or there is none. */
  readonly configSource: 'named' | 'found' | 'none';
  /** An absolute path. */
  readonly dataDirectory: string;
  /** Where files and segments are kept. Default: in the data folder. */
  readonly store: FileStoreLocation;
  /** The keys that the environment gives, the admin key last. Others are in the file store. */
  readonly apiKeys: readonly ApiKey[];
  /** The login of Bull Board. Undefined: Bull Board asks for none, and is not there when there are API keys. */
  readonly board?: { readonly user: string; readonly password: string };
  /** Names by which the api may be called, in lower case; `*.` stands for any subdomain. Undefined: not limited by name. */
  readonly allowedHosts?: readonly string[];
  /** How many proxies are before the api, or their addresses. Undefined: none. */
  readonly trustProxy?: number | readonly string[];
  /** Opens `/metrics`. */
  readonly metricsToken?: string;
  /** Most calls in flight for each worker process and lane. */
  readonly workerConcurrency: number;
  /** How long calls and file writes may go on after SIGTERM. Then another process takes them over. */
  readonly graceMs: number;
  readonly logLevel: string;
  /** The start of every key in Redis. */
  readonly redisPrefix: string;
  /** How much of one batch may be in Redis at once: requests, and bytes of their input lines. */
  readonly window: { readonly requests: number; readonly bytes: number };
  readonly limits: {
    readonly maxLineBytes: number;
    readonly maxRequestsPerBatch: number;
    readonly maxFileBytes: number;
  };
  /** How long a batch, its output and its error file are kept after its end, in days. */
  readonly keepDays: number;
  /** How long the answer to a call with an `Idempotency-Key`, or to a background response, is kept, in hours. */
  readonly keepAnswersHours: number;
  readonly lanes: LaneTable;
  readonly tenants: TenantsConfig;
  /** The operator's webhooks. */
  readonly webhooks: readonly OperatorWebhook[];
  /** Whether webhooks may be in a private network, and use http. */
  readonly allowPrivateWebhooks: boolean;
  readonly retry: RetryPolicy;
  /** Where traces go, and which. Undefined: there are none. */
  readonly tracing?: TracingConfig;
  /** For tests only: the point at which a role kills itself. */
  readonly failPoint?: FailPointSpec;
}

export interface LoadConfigOptions {
  /** Reads a text file, and throws as `fs` does. Default: `readFileSync`. */
  readonly readFile?: (path: string) => string;
}

const problemsOf = (error: z.ZodError, prefix = ''): string[] =>
  error.issues.map(({ path, message }) => `${prefix}${path.join('.') || 'the whole'}: ${message}`);

const failWith = (problems: readonly string[]): never => {
  throw new ConfigError(['The configuration is not valid:', ...problems.map((problem) => `- ${problem}`)].join('\n'));
};

const readFileConfig = (
  named: string | undefined,
  readFile: (path: string) => string,
): { readonly config?: FileConfig; readonly isMissing?: boolean; readonly problems: readonly string[] } => {
  const file = named ?? resolve(defaultConfigFile);
  const prefix = `${basename(file)}: `;
  let content: unknown;
  let isMissing = false;
  try {
    content = parseYaml(readFile(file)) ?? {};
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    if (code === 'ENOENT' && named === undefined) {
      content = {};
      isMissing = true;
    } else if (code === 'ENOENT') return { problems: [`PROMPTMILL_CONFIG: there is no file ${file}`] };
    else return { problems: [prefix + message] };
  }
  const parsed = fileConfig.safeParse(content);
  return parsed.success
    ? { config: parsed.data, isMissing, problems: [] }
    : { problems: problemsOf(parsed.error, prefix) };
};

/** Builds the lanes of all providers, and adds what is wrong with them to `problems`. */
const buildLaneTable = (config: FileConfig, env: Environment, problems: string[]): LaneTable | undefined => {
  try {
    return buildLanes(buildProviders(config, env, { isFileNamed: env['PROMPTMILL_CONFIG'] !== undefined }));
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    problems.push(error.message);
    return undefined;
  }
};

const locateStore = (data: z.infer<typeof environment>): FileStoreLocation => {
  if (!data.PROMPTMILL_STORE) return { kind: 'disk', directory: join(data.PROMPTMILL_DATA_DIR, 'store') };
  const endpoint = data.S3_ENDPOINT;
  return {
    kind: 's3',
    ...data.PROMPTMILL_STORE,
    ...(endpoint === undefined ? {} : { endpoint }),
    region: data.S3_REGION,
    forcePathStyle: data.S3_FORCE_PATH_STYLE ?? endpoint !== undefined,
  };
};

/**
 * Reads the whole configuration from the environment and `promptmill.yaml`. An empty variable counts as unset, unless it
 * would close something.
 *
 * @throws ConfigError that names everything that is wrong, and no variable's value.
 */
export const loadConfig = (
  env: Environment,
  { readFile = (path) => readFileSync(path, 'utf8') }: LoadConfigOptions = {},
): Config => {
  const set = Object.fromEntries(Object.entries(env).filter(([, value]) => value !== undefined && value !== ''));
  const parsed = environment.safeParse(set);
  const problems = parsed.success ? [] : problemsOf(parsed.error);
  for (const name of neverEmpty)
    if (env[name]?.trim() === '') problems.push(`${name}: it is set but empty; give it a value, or unset it`);
  if ((set['BOARD_USER'] === undefined) !== (set['BOARD_PASSWORD'] === undefined))
    problems.push('BOARD_USER, BOARD_PASSWORD: set both or neither');
  if (parsed.data?.PROMPTMILL_API_KEYS.some(({ key }) => key === set['PROMPTMILL_ADMIN_KEY']))
    problems.push('PROMPTMILL_ADMIN_KEY: it must not be among PROMPTMILL_API_KEYS');
  const named = set['PROMPTMILL_CONFIG'];
  const file = readFileConfig(named === undefined ? undefined : resolve(named), readFile);
  problems.push(...file.problems);
  const lanes = file.config && buildLaneTable(file.config, set, problems);
  const allowPrivateWebhooks = parsed.data?.PROMPTMILL_ALLOW_PRIVATE_WEBHOOKS ?? false;
  const webhooks = buildWebhooks(file.config?.webhooks ?? {}, set, allowPrivateWebhooks, problems);
  if (!parsed.success || !file.config || !lanes || problems.length > 0) return failWith(problems);

  const { data } = parsed;
  return {
    apiPort: data.PORT ?? defaultApiPort,
    ...(data.PORT === undefined ? {} : { healthPort: data.PORT }),
    host: data.HOST,
    redisUrl: data.REDIS_URL ?? defaultRedisUrl,
    redisIsNamed: data.REDIS_URL !== undefined,
    redisMaxmemory: data.PROMPTMILL_REDIS_MAXMEMORY,
    configFile: resolve(named ?? defaultConfigFile),
    configSource: named === undefined ? (file.isMissing ? 'none' : 'found') : 'named',
    dataDirectory: data.PROMPTMILL_DATA_DIR,
    store: locateStore(data),
    apiKeys: [
      ...data.PROMPTMILL_API_KEYS,
      ...(data.PROMPTMILL_ADMIN_KEY ? [{ tenant: 'admin', key: data.PROMPTMILL_ADMIN_KEY, admin: true } as const] : []),
    ],
    ...(data.BOARD_USER && data.BOARD_PASSWORD
      ? { board: { user: data.BOARD_USER, password: data.BOARD_PASSWORD } }
      : {}),
    ...(data.PROMPTMILL_ALLOWED_HOSTS ? { allowedHosts: data.PROMPTMILL_ALLOWED_HOSTS } : {}),
    ...(data.PROMPTMILL_TRUST_PROXY === undefined ? {} : { trustProxy: data.PROMPTMILL_TRUST_PROXY }),
    ...(data.PROMPTMILL_METRICS_TOKEN ? { metricsToken: data.PROMPTMILL_METRICS_TOKEN } : {}),
    workerConcurrency: data.WORKER_CONCURRENCY,
    graceMs: data.PROMPTMILL_GRACE_MS,
    logLevel: data.LOG_LEVEL,
    redisPrefix: data.PROMPTMILL_PREFIX,
    window: { requests: data.PROMPTMILL_WINDOW, bytes: data.PROMPTMILL_WINDOW_BYTES },
    limits: {
      maxLineBytes: data.PROMPTMILL_MAX_LINE_BYTES,
      maxRequestsPerBatch: data.PROMPTMILL_MAX_REQUESTS_PER_BATCH,
      maxFileBytes: data.PROMPTMILL_MAX_FILE_BYTES,
    },
    keepDays: data.PROMPTMILL_KEEP_DAYS,
    keepAnswersHours: data.PROMPTMILL_KEEP_ANSWERS_HOURS,
    lanes,
    tenants: file.config.tenants,
    webhooks,
    allowPrivateWebhooks,
    retry: file.config.retry,
    ...(data.OTEL_EXPORTER_OTLP_ENDPOINT
      ? {
          tracing: {
            endpoint: data.OTEL_EXPORTER_OTLP_ENDPOINT,
            sampler: data.OTEL_TRACES_SAMPLER,
            ratio: data.OTEL_TRACES_SAMPLER_ARG,
          },
        }
      : {}),
    ...(data.PROMPTMILL_FAIL_POINT ? { failPoint: data.PROMPTMILL_FAIL_POINT } : {}),
  };
};

/**
 * Checks that other machines can reach the api only with API keys.
 *
 * @param hasStoredKeys whether the file store has API keys
 * @throws ConfigError that names what is missing.
 */
export const assertSafeToExpose = (
  { host, apiKeys }: Pick<Config, 'host' | 'apiKeys'>,
  hasStoredKeys = false,
): void => {
  if (!isLoopback(host) && apiKeys.length === 0 && !hasStoredKeys)
    failWith([`HOST: ${host} can be reached from elsewhere; set PROMPTMILL_API_KEYS`]);
};
