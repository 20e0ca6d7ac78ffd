import { isIP } from 'node:net';
import { resolve } from 'node:path';
import { isTenantName, parseRedisUrl, tenantNameRule } from '@promptmill/core';
import { z } from 'zod';
import { type FailPoint, failPoints, type FailPointSpec } from './fail-points.ts';

export interface ApiKey {
  readonly tenant: string;
  readonly key: string;
  /** Whether it may see and cancel the batches of every tenant. */
  readonly admin?: true;
}

const minKeyLength = 8;

/** A whole number in decimal digits. */
const wholeNumber = (min: number, max: number) =>
  z
    .string()
    .refine(
      (text) => /^\d{1,15}$/.test(text) && Number(text) >= min && Number(text) <= max,
      `must be a whole number from ${min} to ${max}`,
    )
    .transform(Number);

/** What is wrong with a key; undefined when nothing is. */
const keyProblem = (key: string): string | undefined => {
  if (key.length < minKeyLength) return `a key of less than ${minKeyLength} characters`;
  return /^[\x21-\x7e]+$/.test(key) ? undefined : 'a key with characters no header can carry';
};

/** `name:key,name:key`. A tenant may have several keys; no two entries may have the same one. */
const apiKeys = z.string().transform((text, context): readonly ApiKey[] => {
  const seen = new Set<string>();
  return text.split(',').map((entry, position) => {
    const [, tenant = '', key = ''] = /^([^:]*):(.*)$/.exec(entry.trim()) ?? [];
    const problem = (message: string): void => context.addIssue(`entry ${position + 1} ${message}`);
    const fault = keyProblem(key);
    if (!isTenantName(tenant)) problem(`must be name:key, the name of ${tenantNameRule}`);
    else if (fault !== undefined) problem(`(${tenant}) has ${fault}`);
    else if (seen.has(key)) problem(`(${tenant}) has a key that an entry before it has`);
    seen.add(key);
    return { tenant, key };
  });
});

const adminKey = z.string().superRefine((key, context) => {
  const fault = keyProblem(key);
  if (fault !== undefined) context.addIssue(`is ${fault}`);
});

/** A URL for {@link parseRedisUrl}. */
const redisUrl = z.string().superRefine((text, context) => {
  const address = parseRedisUrl(text);
  if (address.kind === 'invalid') context.addIssue(address.problem);
});

/** `point` or `point:n`. */
const failPoint = z.string().transform((text, context): FailPointSpec => {
  const [, point = '', pass = '1'] = /^([a-z-]+)(?::([1-9]\d{0,8}))?$/.exec(text) ?? [];
  if (!(failPoints as readonly string[]).includes(point))
    context.addIssue(`must be a point, or point:n; the points are ${failPoints.join(', ')}`);
  return { point: point as FailPoint, pass: Number(pass) };
});

/** `s3://bucket` or `s3://bucket/prefix`. */
const s3Url = z.string().transform((text, context) => {
  const [, bucket = '', prefix = ''] = /^s3:\/\/([a-z0-9][a-z0-9.-]{1,61}[a-z0-9])(?:\/([\w./-]*))?$/.exec(text) ?? [];
  const folders = prefix.replace(/\/$/, '');
  if (!bucket || (folders !== '' && /^$|^\.{1,2}$/m.test(folders.replaceAll('/', '\n'))))
    context.addIssue('must be s3://bucket or s3://bucket/prefix, the prefix of A-Z a-z 0-9 . _ - and single /');
  return { bucket, prefix: folders === '' ? '' : `${folders}/` };
});

const httpUrl = z
  .string()
  .refine(
    (text) => /^https?:\/\/[^@?#\s]+$/.test(text) && URL.canParse(text),
    'must be http://host:port or https://host:port, without a login',
  );

const trueOrFalse = z.enum(['true', 'false'], { error: 'must be true or false' }).transform((text) => text === 'true');

const hostName = /^(?:\*\.)?[a-z0-9_](?:[a-z0-9_-]*[a-z0-9_])?(?:\.[a-z0-9_](?:[a-z0-9_-]*[a-z0-9_])?)*$/;

const namesIn = (text: string): string[] => text.split(',').map((entry) => entry.trim().toLowerCase());

/** Names and addresses by which callers may call the api: `mill.example.com`, `*.example.com`, `10.0.0.5`, `fd00::5`. */
const hostNames = z.string().transform((text, context): readonly string[] => {
  const names = namesIn(text).map((name) => name.replace(/^\[(.*)\]$/, '$1'));
  if (!names.every((name) => isIP(name) > 0 || hostName.test(name)))
    context.addIssue('must be host names without ports, such as mill.example.com,*.example.com');
  return names;
});

const isNetwork = (text: string): boolean => {
  const [address = '', bits, ...rest] = text.split('/');
  const version = isIP(address);
  if (version === 0 || rest.length > 0) return false;
  return bits === undefined || (/^\d{1,3}$/.test(bits) && Number(bits) <= (version === 4 ? 32 : 128));
};

/** Express' `trust proxy`: how many proxies there are, or their addresses. Source: https://expressjs.com/en/guide/behind-proxies.html */
const trustedProxies = z.string().transform((text, context): number | readonly string[] => {
  if (/^[1-9]\d?$/.test(text)) return Number(text);
  const proxies = namesIn(text);
  if (!proxies.every((name) => ['loopback', 'linklocal', 'uniquelocal'].includes(name) || isNetwork(name)))
    context.addIssue('must be the number of proxies (1 to 99), or their addresses, such as loopback,10.0.0.0/8');
  return proxies;
});

const token = z.string().regex(/^[\x21-\x7e]{8,}$/, 'must be 8 or more characters that a header can carry');
/** A size as Redis writes it. Source: the head of redis.conf. */
const redisSize = z.string().regex(/^[1-9]\d{0,14}(?:[kmg]b?)?$/i, 'must be a size such as 1gb or 512mb');

const samplers = [
  'always_on',
  'always_off',
  'traceidratio',
  'parentbased_always_on',
  'parentbased_always_off',
  'parentbased_traceidratio',
] as const;

const ratio = z
  .string()
  .regex(/^(?:0|1|0?\.\d{1,9}|1\.0)$/, 'must be a number from 0 to 1')
  .transform(Number);

const path = z.string().transform((text) => resolve(text));

/** Every environment variable of the roles, with its default. The providers' variables are in core's presets. */
export const environment = z.object({
  /** The port of the api. Default: 3000. Worker and collector serve their health on it when it is set. */
  PORT: wholeNumber(0, 65_535).optional(),
  /** The address on which all roles listen. */
  HOST: z.string().default('127.0.0.1'),
  REDIS_URL: redisUrl.optional(),
  /** How much memory the Redis that `run` and `serve` start may take for its data. Default: 1 GiB. */
  PROMPTMILL_REDIS_MAXMEMORY: redisSize.default('1gb'),
  PROMPTMILL_DATA_DIR: path.prefault('./data'),
  PROMPTMILL_CONFIG: path.optional(),
  /** Where files and segments are kept. Unset: on the disk, in the data folder. */
  PROMPTMILL_STORE: s3Url.optional(),
  /** An S3-compatible server. Unset: AWS. The AWS SDK finds the credentials. */
  S3_ENDPOINT: httpUrl.optional(),
  S3_REGION: z.string().default('us-east-1'),
  /** Whether to call `endpoint/bucket` and not `bucket.endpoint`. Unset: yes if S3_ENDPOINT is set. */
  S3_FORCE_PATH_STYLE: trueOrFalse.optional(),
  /** Unset, and no key is stored: there is one tenant, `local`, without a key. */
  PROMPTMILL_API_KEYS: apiKeys.default([]),
  /** The key of the tenant `admin`, which may also see and cancel the batches of every tenant. */
  PROMPTMILL_ADMIN_KEY: adminKey.optional(),
  BOARD_USER: z.string().optional(),
  BOARD_PASSWORD: z.string().optional(),
  /** Names by which the api may be called. Unset: any name with API keys, else those of this machine. */
  PROMPTMILL_ALLOWED_HOSTS: hostNames.optional(),
  /** The proxies whose `X-Forwarded-For` tells a caller's address. Unset: it is the connection's. */
  PROMPTMILL_TRUST_PROXY: trustedProxies.optional(),
  /** Opens `/metrics` of every role, and no more. Unset: an API key does at the api, and the others ask for nothing. */
  PROMPTMILL_METRICS_TOKEN: token.optional(),
  /** Whether webhooks may go to private addresses, and over http. */
  PROMPTMILL_ALLOW_PRIVATE_WEBHOOKS: trueOrFalse.default(false),
  /** Most calls in flight for each worker process and lane. */
  WORKER_CONCURRENCY: wholeNumber(1, 10_000).default(50),
  /**
   * How long a worker's calls and a collector's file writes may go on after SIGTERM, in milliseconds. Then another
   * process takes them over. Whoever stops the process must wait 15 s longer.
   */
  PROMPTMILL_GRACE_MS: wholeNumber(0, 86_400_000).default(25_000),
  /** Where spans are sent, over OTLP/HTTP. Unset: nothing is traced. */
  OTEL_EXPORTER_OTLP_ENDPOINT: httpUrl.optional(),
  /** Which traces are sent. Source: https://opentelemetry.io/docs/specs/otel/configuration/sdk-environment-variables/ */
  OTEL_TRACES_SAMPLER: z
    .enum(samplers, { error: `must be one of ${samplers.join(', ')}` })
    .default('parentbased_always_on'),
  /** The share of traces that are sent where the sampler goes by a ratio. */
  OTEL_TRACES_SAMPLER_ARG: ratio.default(1),
  LOG_LEVEL: z
    .enum(['fatal', 'error', 'warn', 'info', 'debug', 'trace', 'silent'], {
      error: 'must be one of fatal, error, warn, info, debug, trace, silent',
    })
    .default('info'),
  /** The start of every key in Redis. */
  PROMPTMILL_PREFIX: z
    .string()
    .regex(/^[A-Za-z0-9_-]{1,32}$/, 'must be 1 to 32 of A-Z a-z 0-9 _ -')
    .default('pm'),
  /** Most requests of one batch that may be in Redis at once. */
  PROMPTMILL_WINDOW: wholeNumber(1, 1_000_000).default(4000),
  /** Most bytes of one batch's input lines in Redis at once. Default: 64 MiB. A single larger line still goes out. */
  PROMPTMILL_WINDOW_BYTES: wholeNumber(1, 2 ** 40).default(64 * 2 ** 20),
  /** Default: 16 MiB. */
  PROMPTMILL_MAX_LINE_BYTES: wholeNumber(1024, 2 ** 28).default(16 * 2 ** 20),
  PROMPTMILL_MAX_REQUESTS_PER_BATCH: wholeNumber(1, 100_000_000).default(5_000_000),
  /** How long a batch, its output and its error file are kept after its end, in days. */
  PROMPTMILL_KEEP_DAYS: wholeNumber(1, 3650).default(30),
  /** How long the answer to a call with an `Idempotency-Key`, or to a background response, is kept, in hours. */
  PROMPTMILL_KEEP_ANSWERS_HOURS: wholeNumber(1, 720).default(24),
  /** Default: 20 GiB. */
  PROMPTMILL_MAX_FILE_BYTES: wholeNumber(1024, 2 ** 50 - 1).default(20 * 2 ** 30),
  /** For tests only: the role kills itself when it passes the point for the n-th time. */
  PROMPTMILL_FAIL_POINT: failPoint.optional(),
});

/**
 * Variables that close something. One that is set but empty would leave it open, most likely by mistake, so it is an
 * error.
 */
export const neverEmpty = [
  'PROMPTMILL_API_KEYS',
  'PROMPTMILL_ADMIN_KEY',
  'BOARD_USER',
  'BOARD_PASSWORD',
  'PROMPTMILL_ALLOWED_HOSTS',
  'PROMPTMILL_TRUST_PROXY',
  'PROMPTMILL_METRICS_TOKEN',
] as const;
