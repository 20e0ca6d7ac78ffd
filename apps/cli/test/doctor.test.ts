import { writeFile } from 'node:fs/promises';
import { closeRedis, connectRedis } from '@promptmill/queue';
import { type Simulator, startSimulator } from '@promptmill/simulator';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type LocalRedis, startLocalRedis } from '../../../tests/support/local-redis.ts';
import { type S3Server, startS3Server } from '../../../tests/support/s3-server.ts';
import { freePort } from '../../../tests/support/free-port.ts';
import { type Cli, type Ended, openCli } from './support/cli-process.ts';

const rightKey = 'key-that-opens';
const wrongKey = 'key-that-does-not';

let cli: Cli;
let simulator: Simulator;

beforeAll(async () => {
  cli = await openCli();
  simulator = await startSimulator({ apiKey: rightKey });
  await writeFile(
    cli.path('promptmill.yaml'),
    `
providers:
  mine:
    baseUrl: ${simulator.url}
    apiKeyEnv: MINE_API_KEY
    models: { echo: {} }
    fallback: [groq/llama]
  elsewhere: { baseUrl: ${simulator.url.replace('/v1', '/v2')}, apiKeyEnv: MINE_API_KEY }
  pool:
    models:
      echo:
        deployments: { west: { model: echo-west } }
    deployments:
      east: { baseUrl: ${simulator.url}, apiKeyEnv: EAST_API_KEY }
      west: { baseUrl: ${simulator.url}, apiKeyEnv: WEST_API_KEY }
  gone: { baseUrl: http://127.0.0.1:${await freePort()}/v1 }
`,
  );
});
afterAll(async () => {
  await simulator.close();
  await cli.close();
});

const doctor = (args: readonly string[] = [], env: Readonly<Record<string, string>> = {}): Promise<Ended> =>
  cli.run(['doctor', ...args], env);

describe('doctor, of a provider', () => {
  it('checks the key, the connection, the models and a call', async () => {
    const { exit, stdout } = await doctor(['--provider', 'mine'], { MINE_API_KEY: rightKey });
    expect(stdout).toMatch(/^✓ mine: MINE_API_KEY is set\n✓ mine: http.* can be reached \(DNS \d+ ms, TCP \d+ ms\)\n/m);
    expect(stdout).toMatch(/✓ mine: lists \d+ models\n✓ mine: echo answered a call of one token in \d+ ms\n/);
    expect(stdout).toContain('! fallback: groq/llama is passed over: GROQ_API_KEY is not set');
    expect(exit).toBe(0);
  });

  it('calls only when asked to', async () => {
    const before = simulator.stats().calls;
    const { stdout } = await doctor([], { MINE_API_KEY: rightKey });
    expect(stdout).toContain('✓ mine: lists');
    expect(simulator.stats().calls).toBe(before);
    expect((await doctor(['--call'], { MINE_API_KEY: rightKey })).stdout).toContain('✓ mine: echo answered');
  });

  it.each<[string, string, Readonly<Record<string, string>>, string]>([
    ['no key', 'mine', {}, '✗ mine: MINE_API_KEY is not set\n    export MINE_API_KEY='],
    ['a wrong key', 'mine', { MINE_API_KEY: wrongKey }, 'The key in MINE_API_KEY is wrong'],
    ['a wrong path', 'elsewhere', { MINE_API_KEY: rightKey }, 'or providers.elsewhere.baseUrl is wrong'],
    ['a closed port', 'gone', {}, 'is it running?'],
    ['no such host', 'vllm', { VLLM_BASE_URL: 'http://nowhere.invalid/v1' }, 'No such host'],
  ])('says what to do about %s', async (_, provider, env, hint) => {
    const { exit, stdout, stderr } = await doctor(['--provider', provider, '--model', 'echo'], env);
    expect(stdout).toContain('✗ ');
    expect(stdout).toContain(hint);
    expect([exit, stderr]).toEqual([
      1,
      expect.stringMatching(/^configuration: .*promptmill\.yaml \(found .*; calls go to .*\n$/),
    ]);
    expect(stdout).not.toMatch(new RegExp(`${rightKey}|${wrongKey}`));
  });

  it('checks each deployment, and calls it by its own name for the model', async () => {
    const env = { EAST_API_KEY: wrongKey, WEST_API_KEY: rightKey };
    const { exit, stdout } = await doctor(['--provider', 'pool', '--model', 'pool/echo'], env);
    expect(stdout).toContain('The key in EAST_API_KEY is wrong');
    expect(stdout).toContain('✓ pool.deployments.west: echo-west answered a call');
    expect(exit).toBe(1);
    const one = await doctor([], { WEST_API_KEY: rightKey });
    expect(one.stdout).toMatch(/^! pool\.deployments\.east: EAST_API_KEY is not set$/m);
    expect(one.stdout).toMatch(/^✓ pool\.deployments\.west: lists/m);
  });

  it('lists the providers when it knows none of that name', async () => {
    const { exit, stderr } = await doctor(['--provider', 'nobody']);
    expect([exit, stderr]).toEqual([1, expect.stringContaining('name one of xai, openai, anthropic')]);
  });
});

describe('doctor, of Redis', () => {
  let redis: LocalRedis;

  beforeAll(async () => {
    redis = await startLocalRedis(['--appendonly', 'no', '--maxmemory-policy', 'allkeys-lru']);
    const admin = connectRedis({ url: redis.url, whileAway: 'wait', onError: () => {} });
    await admin.config('SET', 'requirepass', 'hush-hush');
    await closeRedis(admin);
  });
  afterAll(() => redis.stop());

  const withPassword = (password: string): string => redis.url.replace('//', `//:${password}@`);

  it('finds the settings that would lose requests', async () => {
    const { exit, stdout } = await doctor(['--json'], { REDIS_URL: withPassword('hush-hush') });
    const found = (JSON.parse(stdout) as { name: string; status: string; message: string }[])
      .filter(({ name }) => name === 'redis')
      .map(({ status, message }) => [status, message]);
    expect(found).toEqual([
      ['ok', expect.stringContaining(`answers at ${redis.url} within`)],
      ['ok', expect.stringMatching(/^(Redis|Valkey) \d/)],
      ['warning', expect.stringContaining('no append-only file')],
      ['warning', expect.stringContaining('has no maxmemory')],
      ['failed', expect.stringContaining('maxmemory-policy is allkeys-lru')],
    ]);
    expect([exit, stdout.includes('hush')]).toEqual([1, false]);
  });

  it.each<[string, () => string, string]>([
    ['a wrong password', () => withPassword('not-that'), 'The user or password in REDIS_URL is wrong'],
    ['no password', () => redis.url, 'The user or password in REDIS_URL is wrong'],
    ['a closed port', () => 'redis://127.0.0.1:1', 'Is it running?'],
  ])('says what to do about %s', async (_, url, hint) => {
    const { exit, stdout } = await doctor([], { REDIS_URL: url() });
    expect(stdout).toContain('✗ redis: cannot use redis://127.0.0.1:');
    expect([exit, stdout]).toEqual([1, expect.stringContaining(hint)]);
  });

  it('without REDIS_URL looks for a Redis to start', async () => {
    expect((await doctor()).stdout).toContain(
      '✓ redis: REDIS_URL is not set; run and serve start a Redis of their own',
    );
    const { exit, stdout } = await doctor([], { PATH: '/nowhere' });
    expect([exit, stdout]).toEqual([1, expect.stringContaining('apt-get install redis-server')]);
  });
});

describe('doctor, of an S3 store', () => {
  let s3: S3Server;

  beforeAll(async () => {
    s3 = await startS3Server();
  });
  afterAll(() => s3.stop());

  it('writes, reads and deletes', async () => {
    const { stdout } = await doctor([], {
      PROMPTMILL_STORE: `s3://${s3.bucket}/mill`,
      S3_ENDPOINT: s3.endpoint,
      ...s3.credentials,
    });
    expect(stdout).toContain(`✓ file store: s3://${s3.bucket}/mill/ at ${s3.endpoint} can be written to, read`);
  });

  it.each<[string, Readonly<Record<string, string>>, string]>([
    [
      'a wrong key',
      { AWS_ACCESS_KEY_ID: 'nobody', AWS_SECRET_ACCESS_KEY: 'hush-hush' },
      'AWS_ACCESS_KEY_ID or AWS_SECRET_ACCESS_KEY is wrong',
    ],
    ['no credentials', { AWS_SECRET_ACCESS_KEY: '' }, 'Set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY'],
    ['no bucket', { PROMPTMILL_STORE: 's3://nobodys' }, 'Create the bucket'],
    ['a closed port', { S3_ENDPOINT: 'http://127.0.0.1:1' }, 'Is it running?'],
  ])('says what to do about %s', async (_, env, hint) => {
    const { exit, stdout } = await doctor([], {
      PROMPTMILL_STORE: `s3://${s3.bucket}/mill`,
      S3_ENDPOINT: s3.endpoint,
      AWS_EC2_METADATA_DISABLED: 'true',
      ...s3.credentials,
      ...env,
    });
    expect(stdout).toContain('✗ file store: cannot use s3://');
    expect([exit, stdout]).toEqual([1, expect.stringContaining(hint)]);
    expect(stdout).not.toContain('hush');
  });
});

it('says what is wrong with the configuration', async () => {
  const { exit, stdout } = await doctor([], { LOG_LEVEL: 'loud' });
  expect([exit, stdout]).toEqual([1, expect.stringContaining('✗ configuration:')]);
});
