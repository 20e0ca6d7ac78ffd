import { ConfigError } from '@promptmill/core';
import { describe, expect, it } from 'vitest';
import { assertSafeToExpose, loadConfig } from './config.ts';

const noFile = (): string => {
  throw Object.assign(new Error('no such file'), { code: 'ENOENT' });
};

const load = (env: Record<string, string> = {}, yaml?: string) =>
  loadConfig(env, { readFile: yaml === undefined ? noFile : () => yaml });

const messageOf = (action: () => unknown): string => {
  try {
    action();
  } catch (error) {
    expect(error).toBeInstanceOf(ConfigError);
    return (error as Error).message;
  }
  throw new Error('nothing was thrown');
};

describe('the defaults', () => {
  it('need no variable and no file', () => {
    expect(load()).toMatchObject({
      apiPort: 3000,
      host: '127.0.0.1',
      redisUrl: 'redis://127.0.0.1:6379',
      redisIsNamed: false,
      dataDirectory: `${process.cwd()}/data`,
      apiKeys: [],
      workerConcurrency: 50,
      graceMs: 25_000,
      logLevel: 'info',
      redisPrefix: 'pm',
      window: { requests: 4000, bytes: 64 * 1024 ** 2 },
      limits: { maxLineBytes: 16 * 1024 ** 2, maxRequestsPerBatch: 5_000_000, maxFileBytes: 20 * 1024 ** 3 },
      keepDays: 30,
      keepAnswersHours: 24,
      retry: { attempts: 6, baseDelayMs: 1000, maxDelayMs: 60_000 },
    });
    expect(load()).not.toHaveProperty('board');
    expect(load()).not.toHaveProperty('healthPort');
    expect(load()).not.toHaveProperty('tracing');
  });

  it('hold for empty variables', () => {
    expect(load({ PORT: '', PROMPTMILL_KEEP_DAYS: '', PROMPTMILL_CONFIG: '', VLLM_BASE_URL: '' })).toMatchObject({
      apiPort: 3000,
      keepDays: 30,
    });
  });

  it.each([
    'PROMPTMILL_API_KEYS',
    'PROMPTMILL_ADMIN_KEY',
    'BOARD_USER',
    'BOARD_PASSWORD',
    'PROMPTMILL_ALLOWED_HOSTS',
    'PROMPTMILL_TRUST_PROXY',
    'PROMPTMILL_METRICS_TOKEN',
  ])('do not hold for an empty %s, which would leave something open', (name) => {
    for (const empty of ['', ' '])
      expect(messageOf(() => load({ [name]: empty }))).toContain(`- ${name}: it is set but empty`);
  });
});

describe('the environment', () => {
  it('sets the options that it names', () => {
    const env = { PORT: '8080', PROMPTMILL_DATA_DIR: '/srv/data', BOARD_USER: 'me', BOARD_PASSWORD: 'secret' };
    expect(load(env)).toMatchObject({
      apiPort: 8080,
      healthPort: 8080,
      dataDirectory: '/srv/data',
      store: { kind: 'disk', directory: '/srv/data/store' },
      board: { user: 'me', password: 'secret' },
    });
  });

  it('names a bucket for the files', () => {
    const aws = { kind: 's3', bucket: 'my.bucket', prefix: '', region: 'us-east-1', forcePathStyle: false };
    expect(load({ PROMPTMILL_STORE: 's3://my.bucket' }).store).toEqual(aws);
    expect(load({ PROMPTMILL_STORE: 's3://my.bucket/team/mill', S3_REGION: 'eu-west-1' }).store).toEqual({
      ...aws,
      prefix: 'team/mill/',
      region: 'eu-west-1',
    });
    const endpoint = 'http://minio:9000';
    expect(load({ PROMPTMILL_STORE: 's3://my.bucket/', S3_ENDPOINT: endpoint }).store).toEqual({
      ...aws,
      endpoint,
      forcePathStyle: true,
    });
    expect(
      load({ PROMPTMILL_STORE: 's3://my.bucket', S3_ENDPOINT: endpoint, S3_FORCE_PATH_STYLE: 'false' }).store,
    ).toMatchObject({ forcePathStyle: false });
  });

  it('names a fail point and its pass', () => {
    expect(load({ PROMPTMILL_FAIL_POINT: 'answered' }).failPoint).toEqual({ point: 'answered', pass: 1 });
    expect(load({ PROMPTMILL_FAIL_POINT: 'jobs-added:3' }).failPoint).toEqual({ point: 'jobs-added', pass: 3 });
    expect(load()).not.toHaveProperty('failPoint');
  });

  it('says where traces go, and which', () => {
    const endpoint = 'http://127.0.0.1:4318';
    const tracing = { endpoint, sampler: 'parentbased_always_on', ratio: 1 };
    expect(load({ OTEL_EXPORTER_OTLP_ENDPOINT: endpoint }).tracing).toEqual(tracing);
    const sampled = { OTEL_TRACES_SAMPLER: 'traceidratio', OTEL_TRACES_SAMPLER_ARG: '.25' };
    expect(load({ OTEL_EXPORTER_OTLP_ENDPOINT: endpoint, ...sampled }).tracing).toEqual({
      ...tracing,
      sampler: 'traceidratio',
      ratio: 0.25,
    });
    expect(load(sampled)).not.toHaveProperty('tracing');
  });

  it('names the hosts, the proxies and the token of the metrics', () => {
    const hosts = 'Mill.example.com, *.example.org,10.0.0.5,[FD00::5]';
    expect(load({ PROMPTMILL_ALLOWED_HOSTS: hosts, PROMPTMILL_METRICS_TOKEN: 'token-01' })).toMatchObject({
      allowedHosts: ['mill.example.com', '*.example.org', '10.0.0.5', 'fd00::5'],
      metricsToken: 'token-01',
    });
    expect(load({ PROMPTMILL_TRUST_PROXY: '2' }).trustProxy).toBe(2);
    const proxies = ['loopback', '10.0.0.0/8', 'fd00::/8', '10.1.1.1'];
    expect(load({ PROMPTMILL_TRUST_PROXY: proxies.join(', ') }).trustProxy).toEqual(proxies);
  });

  it('may hold several keys of a tenant, and colons in a key', () => {
    expect(load({ PROMPTMILL_API_KEYS: 'a:key-00001, a:key:00002,b:key-00003' }).apiKeys).toEqual([
      { tenant: 'a', key: 'key-00001' },
      { tenant: 'a', key: 'key:00002' },
      { tenant: 'b', key: 'key-00003' },
    ]);
  });

  it('may hold an admin key', () => {
    expect(load({ PROMPTMILL_API_KEYS: 'a:key-00001', PROMPTMILL_ADMIN_KEY: 'key-of-admin' }).apiKeys).toEqual([
      { tenant: 'a', key: 'key-00001' },
      { tenant: 'admin', key: 'key-of-admin', admin: true },
    ]);
  });

  it.each([
    'rediss://:pass@redis:6380/2',
    'unix:///run/redis.sock',
    'redis+sentinel://:pass@one,two:26380/main',
    'redis+cluster://one:7000,two:7000',
  ])('takes REDIS_URL %s', (redisUrl) => {
    expect(load({ REDIS_URL: redisUrl })).toMatchObject({ redisUrl, redisIsNamed: true });
  });

  it.each([
    ['PORT', '80a', 'must be a whole number from 0 to 65535'],
    ['PORT', '65536', 'must be a whole number from 0 to 65535'],
    ['WORKER_CONCURRENCY', '0', 'must be a whole number from 1 to 10000'],
    ['OTEL_EXPORTER_OTLP_ENDPOINT', 'collector:4317', 'must be http://host:port'],
    ['OTEL_TRACES_SAMPLER', 'sometimes', 'must be one of always_on, always_off, traceidratio'],
    ['OTEL_TRACES_SAMPLER_ARG', '1.5', 'must be a number from 0 to 1'],
    ['LOG_LEVEL', 'loud', 'must be one of fatal, error, warn, info, debug, trace, silent'],
    ['REDIS_URL', 'http://redis:pa55word', 'must be redis://host:port'],
    ['REDIS_URL', 'redis+sentinel://:pa55word@one', 'must name the master'],
    ['PROMPTMILL_STORE', 'gs://pa55word', 'must be s3://bucket or s3://bucket/prefix'],
    ['PROMPTMILL_STORE', 's3://pa55word//x', 'must be s3://bucket or s3://bucket/prefix'],
    ['PROMPTMILL_STORE', 's3://pa55word/../x', 'must be s3://bucket or s3://bucket/prefix'],
    ['S3_ENDPOINT', 'https://me:pa55word@minio', 'without a login'],
    ['S3_FORCE_PATH_STYLE', 'pa55', 'must be true or false'],
    ['PROMPTMILL_PREFIX', 'a:{b}', 'must be 1 to 32 of'],
    ['PROMPTMILL_API_KEYS', 'pa55word', 'entry 1 must be name:key'],
    ['PROMPTMILL_API_KEYS', 'a:key-00001,b c:pa55word', 'entry 2 must be name:key'],
    ['PROMPTMILL_API_KEYS', 'a:pa55wor', 'entry 1 (a) has a key of less than 8 characters'],
    ['PROMPTMILL_API_KEYS', 'a:pa55word,b:pa55word', 'entry 2 (b) has a key that an entry before it has'],
    ['PROMPTMILL_API_KEYS', 'a:pa55word pa55', 'entry 1 (a) has a key with characters no header can carry'],
    ['PROMPTMILL_ALLOWED_HOSTS', 'pa55word:80', 'must be host names without ports'],
    ['PROMPTMILL_ALLOWED_HOSTS', 'a,,pa55word', 'must be host names without ports'],
    ['PROMPTMILL_ALLOWED_HOSTS', '*', 'must be host names without ports'],
    ['PROMPTMILL_TRUST_PROXY', 'true', 'must be the number of proxies'],
    ['PROMPTMILL_TRUST_PROXY', '0', 'must be the number of proxies'],
    ['PROMPTMILL_TRUST_PROXY', '10.0.0.0/33', 'must be the number of proxies'],
    ['PROMPTMILL_METRICS_TOKEN', 'pa55', 'must be 8 or more characters'],
    ['PROMPTMILL_ADMIN_KEY', 'pa55wor', 'is a key of less than 8 characters'],
    ['BOARD_PASSWORD', 'pa55word', 'set both or neither'],
    ['PROMPTMILL_FAIL_POINT', 'pa55word', 'must be a point, or point:n; the points are input-stored,'],
    ['PROMPTMILL_FAIL_POINT', 'answered:0', 'must be a point'],
  ])('refuses %s=%s by name, without its value', (name, value, problem) => {
    const message = messageOf(() => load({ [name]: value }));
    expect(message).toMatch(new RegExp(`^- .*${name}: `, 'm'));
    expect(message).toContain(problem);
    expect(message).not.toContain('pa55');
  });
});

it('refuses an admin key that is also a tenant’s', () => {
  const env = { PROMPTMILL_API_KEYS: 'a:pa55word', PROMPTMILL_ADMIN_KEY: 'pa55word' };
  expect(messageOf(() => load(env))).toMatch(/^- PROMPTMILL_ADMIN_KEY: it must not be among PROMPTMILL_API_KEYS$/m);
});

describe('promptmill.yaml', () => {
  it('makes the lanes and the retry policy', () => {
    const { lanes, retry } = load(
      { XAI_API_KEY: 'xai-key' },
      'providers: { xai: { concurrency: 5, models: { grok-4: { concurrency: 1 } } } }\nretry: { attempts: 2 }',
    );
    expect(lanes.route('xai/grok-4')?.lane).toMatchObject({ name: 'xai.grok-4', limits: { concurrency: 1 } });
    expect(lanes.route('xai/other')?.lane.provider).toMatchObject({ apiKey: 'xai-key', limits: { concurrency: 5 } });
    expect(retry).toEqual({ attempts: 2, baseDelayMs: 1000, maxDelayMs: 60_000 });
  });

  it('may be empty', () => {
    expect(load({}, '').retry.attempts).toBe(6);
  });

  it('must exist when PROMPTMILL_CONFIG names it', () => {
    expect(messageOf(() => load({ PROMPTMILL_CONFIG: '/etc/pm.yaml' }))).toContain(
      '- PROMPTMILL_CONFIG: there is no file /etc/pm.yaml',
    );
  });

  it('may name webhooks in a private network only when the environment allows it', () => {
    const yaml = 'webhooks: { ops: { url: "http://receiver/", secretEnv: OPS } }';
    expect(messageOf(() => load({}, yaml))).toContain('- webhooks.ops: url: it must be an https:// URL');
    const { webhooks, allowPrivateWebhooks } = load({ PROMPTMILL_ALLOW_PRIVATE_WEBHOOKS: 'true' }, yaml);
    expect(allowPrivateWebhooks).toBe(true);
    expect(webhooks).toMatchObject([{ name: 'ops', url: 'http://receiver/', missingVariable: 'OPS' }]);
  });

  it('is trusted with keys as far as the environment names it', () => {
    const yaml = 'providers: { openai: { baseUrl: "https://evil.example/v1", apiKeyEnv: OPENAI_API_KEY } }';
    const env = { OPENAI_API_KEY: 'pa55word' };
    expect(messageOf(() => load(env, yaml))).toMatch(
      /- providers\.openai: OPENAI_API_KEY goes to api\.openai\.com only/,
    );
    expect(messageOf(() => load(env, yaml))).not.toContain('pa55');
    expect(load({ ...env, PROMPTMILL_CONFIG: 'promptmill.yaml' }, yaml).configSource).toBe('named');
    expect(load({}, '').configSource).toBe('found');
    expect(load().configSource).toBe('none');
  });

  it.each([
    ['providers: { xai: { concurrency: many } }', 'promptmill.yaml: providers.xai.concurrency: '],
    ['providers: { xai: { limit: 3 } }', 'promptmill.yaml: providers.xai: Unrecognized key: "limit"'],
    ['providers: { mine: { concurrency: 3 } }', 'providers.mine: baseUrl is missing'],
    ['defaultProvider: nobody', 'defaultProvider: nobody is not among the providers'],
    ['providers: [', 'promptmill.yaml: '],
    ['just text', 'promptmill.yaml: the whole: '],
  ])('%s is refused, and it says where', (yaml, problem) => {
    expect(messageOf(() => load({}, yaml))).toContain(`- ${problem}`);
  });

  it('is checked together with the environment', () => {
    const message = messageOf(() =>
      load({ PORT: 'x', SIMULATOR_BASE_URL: 'localhost:1', BOARD_USER: 'me' }, 'providers: { vllm: { timeoutMs: 0 } }'),
    );
    expect(message).toContain('- PORT: ');
    expect(message).toContain('- BOARD_USER, BOARD_PASSWORD: ');
    expect(message).toContain('- promptmill.yaml: providers.vllm.timeoutMs: ');
    expect(messageOf(() => load({ SIMULATOR_BASE_URL: 'localhost:1' }))).toContain(
      '- providers.simulator: its base URL',
    );
  });
});

describe('what other machines can reach', () => {
  const keys = { PROMPTMILL_API_KEYS: 'a:key-00001' };
  const board = { BOARD_USER: 'me', BOARD_PASSWORD: 'secret' };

  it.each(['127.0.0.1', '127.0.1.1', '::1', 'localhost'])('is nothing on %s', (host) => {
    expect(() => assertSafeToExpose(load({ HOST: host }))).not.toThrow();
  });

  it.each(['0.0.0.0', '::', '192.168.1.5', '127.evil.example'])('on %s needs API keys', (host) => {
    expect(messageOf(() => assertSafeToExpose(load({ HOST: host, ...board })))).toContain('set PROMPTMILL_API_KEYS');
    expect(() => assertSafeToExpose(load({ HOST: host, ...keys }))).not.toThrow();
    expect(() => assertSafeToExpose(load({ HOST: host }), true)).not.toThrow();
  });
});
