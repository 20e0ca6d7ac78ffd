import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { setTimeout as delay } from 'node:timers/promises';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { createSchemaChecker, maxSchemaLength, type SchemaChecker } from '../src/schema/schema-checker.ts';

let checker: SchemaChecker;
let nowMs = 0;
beforeEach(() => {
  nowMs = 0;
  checker = createSchemaChecker({ now: () => nowMs });
});
afterEach(() => checker.close());

const check = (schema: unknown, text?: string, tenant = 'acme') =>
  checker.check({ tenant, schema, ...(text === undefined ? {} : { text }) });

const backtracking = (salt: number) => ({ type: 'string', pattern: `^(a+)+$`, $comment: String(salt) });
const hostileText = JSON.stringify(`${'a'.repeat(60)}!`);

/** Each level tries the next twice: 2^40 checks of one value. */
const doubling = {
  $ref: '#/$defs/l0',
  $defs: Object.fromEntries([
    ...Array.from({ length: 40 }, (_, i) => {
      const next = { $ref: `#/$defs/l${i + 1}` };
      return [`l${i}`, { anyOf: [next, next] }] as const;
    }),
    ['l40', { type: 'string' }],
  ]),
};

it('says what matches, what does not and what is no schema', async () => {
  expect(await check({ type: 'integer' })).toEqual({ kind: 'ok' });
  expect(await check({ type: 'integer' }, '1')).toEqual({ kind: 'ok' });
  expect(await check({ type: 'integer' }, '"a"')).toEqual({ kind: 'mismatch', faults: ['the whole must be integer'] });
  expect(await check({ type: 1 })).toMatchObject({ kind: 'invalid' });
  expect(await check('text')).toMatchObject({ kind: 'invalid' });
  expect(await check({ $comment: 'x'.repeat(maxSchemaLength) })).toMatchObject({ kind: 'invalid' });
});

it.each<[string, unknown, string]>([
  ['a pattern that backtracks', backtracking(0), hostileText],
  ['choices within choices', doubling, '1'],
])('%s is cut off, and the next check goes on', async (_, schema, text) => {
  expect(await check(schema, text)).toEqual({ kind: 'costly' });
  expect(await check({ type: 'integer' }, '1')).toEqual({ kind: 'ok' });
});

it('does not try a schema again that was cut off', async () => {
  await check(backtracking(0), hostileText);
  const startedAt = performance.now();
  expect(await check(backtracking(0), '"a"')).toEqual({ kind: 'costly' });
  expect(performance.now() - startedAt).toBeLessThan(100);
});

it('tenants take turns, and one whose checks are cut off is refused for a minute', async () => {
  const ends: string[] = [];
  const hostile = Array.from({ length: 20 }, (_, i) =>
    check(backtracking(i), hostileText, 'mallory').then(({ kind }) => ends.push(`mallory ${kind}`)),
  );
  const good = check({ type: 'integer' }, '1').then(({ kind }) => ends.push(`acme ${kind}`));
  await Promise.all([...hostile, good]);
  expect(ends.indexOf('acme ok')).toBe(1);
  expect(await check({ type: 'string' }, '"a"', 'mallory')).toEqual({ kind: 'costly' });
  expect(await check({ type: 'string' }, '"a"')).toEqual({ kind: 'ok' });
  // A request with it is not even called, also where its schema was good.
  expect(await check({ type: 'string' }, undefined, 'mallory')).toEqual({ kind: 'costly' });
  expect(ends.filter((end) => end === 'mallory costly')).toHaveLength(20);
  nowMs = 60_000;
  expect(await check({ type: 'number' }, '1', 'mallory')).toEqual({ kind: 'ok' });
});

/** Whether a process runs; one that has ended may wait for its parent to look. */
const isAlive = (pid: string): boolean => {
  try {
    return !/\) Z /.test(readFileSync(`/proc/${pid}/stat`, 'utf8'));
  } catch {
    return false;
  }
};

it.runIf(process.platform === 'linux')(
  'a check on a machine that stands still for a while is not cut off',
  async () => {
    const childrenOf = () => readFileSync(`/proc/${process.pid}/task/${process.pid}/children`, 'utf8');
    const before = childrenOf().split(' ');
    await check({ type: 'integer' }, '1');
    const checking = Number(
      childrenOf()
        .split(' ')
        .find((pid) => !before.includes(pid)),
    );
    process.kill(checking, 'SIGSTOP');
    const verdict = check({ type: 'integer' }, '2');
    await delay(1000);
    process.kill(checking, 'SIGCONT');
    expect(await verdict).toEqual({ kind: 'ok' });
    expect(isAlive(String(checking))).toBe(true);
  },
);

it.runIf(process.platform === 'linux')(
  'its process ends soon after the process that asks was killed, also in the middle of a check',
  async () => {
    const script = `
      import { createSchemaChecker } from ${JSON.stringify(new URL('../src/schema/schema-checker.ts', import.meta.url).href)};
      const checker = createSchemaChecker();
      const ask = (schema, text) => checker.check({ tenant: 'acme', schema, text });
      await ask({ type: 'integer' }, '1');
      void ask(${JSON.stringify(backtracking(0))}, ${JSON.stringify(hostileText)});
      console.log('asked');
    `;
    const asking = spawn(process.execPath, ['--input-type=module', '--eval', script], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    await once(asking.stdout, 'data');
    const checking = readFileSync(`/proc/${asking.pid}/task/${asking.pid}/children`, 'utf8').trim();
    expect(isAlive(checking)).toBe(true);
    asking.kill('SIGKILL');
    await expect.poll(() => isAlive(checking), { timeout: 5000 }).toBe(false);
  },
);
