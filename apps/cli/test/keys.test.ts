import { readdirSync, readFileSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type Cli, openCli, until } from './support/cli-process.ts';

let cli: Cli;

beforeAll(async () => {
  cli = await openCli();
});
afterAll(() => cli.close());

const keyLine = /^pm_[0-9a-f]{12}_[\w-]{43}\n$/;
const prefixOf = (key: string): string => key.slice(0, 'pm_0123456789ab'.length);

const create = async (...args: string[]) => {
  const { exit, stdout, stderr } = await cli.run(['keys', 'create', ...args]);
  expect([exit, stdout]).toEqual([0, expect.stringMatching(keyLine)]);
  return { key: stdout.trim(), prefix: prefixOf(stdout), stderr };
};

interface Listed {
  readonly prefix: string;
  readonly state: string;
}
const list = async (): Promise<readonly Listed[]> => JSON.parse((await cli.run(['keys', 'list'])).stdout) as Listed[];

describe('keys', () => {
  it('are created, listed and revoked without a server', async () => {
    const plain = await create('--tenant', 'ada');
    const admin = await create('--tenant', 'ops', '--admin', '--expires', '12h', '--note', 'for the night shift');
    expect(plain.stderr).toContain(`key ${plain.prefix} of ada, does not expire; it is shown only here:`);
    expect(admin.stderr).toMatch(/admin key pm_.* of ops, expires 20/);

    const revoked = await cli.run(['keys', 'revoke', plain.prefix]);
    expect([revoked.exit, revoked.stderr]).toEqual([0, `${plain.prefix} is revoked\n`]);
    const again = await cli.run(['keys', 'revoke', plain.prefix.slice(3)]);
    expect([again.exit, again.stderr]).toEqual([0, `${plain.prefix} was revoked before\n`]);

    const shown = { created_at: expect.any(Number), admin: false, expires_at: null, note: null };
    const byPrefix = new Map((await list()).map((key) => [key.prefix, key]));
    expect([byPrefix.get(plain.prefix), byPrefix.get(admin.prefix)]).toEqual([
      { ...shown, prefix: plain.prefix, tenant: 'ada', state: 'revoked', revoked_at: expect.any(Number) },
      {
        ...shown,
        prefix: admin.prefix,
        tenant: 'ops',
        state: 'active',
        admin: true,
        expires_at: expect.any(Number),
        revoked_at: null,
        note: 'for the night shift',
      },
    ]);
    expect(await cli.onTerminal(['keys', 'list'])).toMatch(
      new RegExp(`^KEY .*\n(.*\n)?${admin.prefix}  active +admin  .*  ops +for the night shift$`, 'm'),
    );

    const folder = cli.path('data/store/api-keys');
    const kept = readdirSync(folder).map((name) => readFileSync(`${folder}/${name}`, 'utf8'));
    for (const { key, prefix } of [plain, admin]) expect(kept.join('')).not.toContain(key.slice(prefix.length + 1));
  });

  it.each<[string, string[], string]>([
    ['a tenant that is no name', ['create', '--tenant', 'a b'], '--tenant must be 1 to 64 of A-Z a-z 0-9 _ -'],
    ['a time that is none', ['create', '--tenant', 'ada', '--expires', 'soon'], 'such as 90m, 12h or 30d'],
    ['a note that could change the screen', ['create', '--tenant', 'ada', '--note', '\u001b[2J'], '--note must have'],
    ['a whole key in place of its start', ['revoke', `pm_0123456789ab_${'x'.repeat(43)}`], 'name the key by its start'],
    ['a key that does not exist', ['revoke', 'pm_0123456789ab'], 'there is no key pm_0123456789ab'],
  ])('refuses %s', async (_, args, problem) => {
    const { exit, stdout, stderr } = await cli.run(['keys', ...args]);
    expect([exit === 0, stdout, stderr]).toEqual([false, '', expect.stringContaining(problem)]);
  });

  it('says so when Redis does not answer', async () => {
    const { exit, stderr } = await cli.run(['keys', 'create', '--tenant', 'ada'], { REDIS_URL: 'redis://127.0.0.1:1' });
    expect([exit, stderr]).toEqual([0, expect.stringContaining('running apis see the change within 30 s')]);
  });

  it('open a server that is running, and the first of them closes it to everyone else', async () => {
    const env = { PROMPTMILL_DATA_DIR: cli.path('served') };
    const server = cli.start(['serve'], { ...env, PORT: '0', LOG_LEVEL: 'warn' });
    const listening = (): string | undefined => /listens at (\S+)\/v1/.exec(server.stderr())?.[1];
    await until('the server listens', () => listening() !== undefined || server.child.exitCode !== null);
    const status = async (key?: string): Promise<number> => {
      const headers = key === undefined ? {} : { authorization: `Bearer ${key}` };
      const response = await fetch(`${listening()}/v1/files`, { headers });
      await response.arrayBuffer();
      return response.status;
    };
    expect(await status()).toBe(200);

    const { stdout } = await cli.run(['keys', 'create', '--tenant', 'ada'], env);
    const key = stdout.trim();
    await expect.poll(() => status(key)).toBe(200);
    await expect.poll(() => status()).toBe(401);
    await cli.run(['keys', 'revoke', prefixOf(key)], env);
    await expect.poll(() => status(key)).toBe(401);
    server.child.kill('SIGTERM');
    await server.ended;
  });
});
