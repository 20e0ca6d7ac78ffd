import { readFileSync } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type Cli, type Ended, openCli, until } from './support/cli-process.ts';
import { inLongForm } from '../../../tests/support/long-form.ts';

const lines = (count: number, marker: string): string => `Say hi. ${marker}\n`.repeat(count);

let cli: Cli;
let server: ReturnType<Cli['start']>;
let env: Record<string, string>;

beforeAll(async () => {
  cli = await openCli();
  server = cli.start(['serve', '--simulator'], {
    PORT: '0',
    PROMPTMILL_API_KEYS: 'ada:key-of-ada',
    WORKER_CONCURRENCY: '2',
    LOG_LEVEL: 'warn',
  });
  const url = (): string | undefined => /listens at (\S+)\/v1/.exec(server.stderr())?.[1];
  await until('the server listens', () => url() !== undefined || server.child.exitCode !== null);
  env = { PROMPTMILL_URL: url() ?? server.stderr(), PROMPTMILL_API_KEY: 'key-of-ada' };
  await writeFile(cli.path('three.txt'), 'one\ntwo [[sim:status=400]]\nthree\n');
  await writeFile(cli.path('slow.txt'), lines(50, '[[sim:latency=200]]'));
  await writeFile(cli.path('endless.txt'), lines(50, '[[sim:latency=3000]]'));
});

afterAll(() => cli.close());

const promptmill = (...args: string[]): Promise<Ended> => cli.run(args, env);

/** What the command shows on a terminal. */
const shown = (...args: string[]): Promise<string> => cli.onTerminal(args, env);

const batchOf = async (id: string): Promise<unknown> => JSON.parse((await promptmill('status', id)).stdout);

const submit = async (input: string): Promise<string> => {
  const { exit, stdout } = await promptmill('submit', input, '-m', 'simulator/echo');
  expect(exit).toBe(0);
  expect(stdout).toMatch(/^batch_[0-9a-f]{32}\n$/);
  return stdout.trim();
};

const ids = (jsonl: string): string[] =>
  jsonl
    .trimEnd()
    .split('\n')
    .map((line) => (JSON.parse(line) as { custom_id: string }).custom_id);

describe('the commands that speak to a server', () => {
  it('submit, watch, and get results in input order', async () => {
    const id = await submit('three.txt');
    const watched = await promptmill('watch', id);
    expect(watched.stderr).toContain('2 completed, 1 failed of 3');
    expect(watched.stderr).toMatch(/\n {2}failed {4}1 × 400.*, such as request-2: .*\n {2}tokens {4}\d+ tokens /);
    expect(watched.stderr).toContain(`\n  results   promptmill results ${id} -o results.jsonl\n`);
    expect(watched.stderr).toContain(`\n  retry     promptmill retry ${id}\n`);
    expect(watched.exit).toBe(1);

    const written = await promptmill('results', id, '-o', 'three.jsonl');
    expect([written.exit, written.stdout]).toEqual([1, '']);
    expect(ids(readFileSync(cli.path('three.jsonl'), 'utf8'))).toEqual(['request-1', 'request-2', 'request-3']);
    expect((await promptmill('results', id)).stdout).toBe(readFileSync(cli.path('three.jsonl'), 'utf8'));
    expect((await promptmill('results', id, '--answers')).stdout).toBe('one\n\nthree\n');
  });

  it('submit --watch shows the same table at the end', async () => {
    const { exit, stdout, stderr } = await promptmill('submit', 'three.txt', '-m', 'simulator/echo', '--watch');
    expect(stderr).toMatch(/\ncompleted\n {2}requests {2}2 completed, 1 failed of 3\n {2}failed {4}1 × 400/);
    expect(stderr).toContain(`\n  retry     promptmill retry ${stdout}`);
    expect(exit).toBe(1);

    const { error_file_id: errorFile } = (await batchOf(stdout.trim())) as { error_file_id: string };
    const headers = { authorization: `Bearer ${env['PROMPTMILL_API_KEY']}` };
    await fetch(`${env['PROMPTMILL_URL']}/v1/files/${errorFile}`, { method: 'DELETE', headers });
    expect((await promptmill('watch', stdout.trim())).stderr).toMatch(/ 1 failed of 3\n {2}tokens/);
    expect((await promptmill('results', stdout.trim())).stderr).toMatch(
      /^error: files .* promptmill submit .* again\n$/,
    );
  });

  it('submit a table, and get its results as one', async () => {
    await writeFile(cli.path('table.csv'), 'key,text\na,one\nb,two\n');
    const { stdout } = await promptmill(
      'submit',
      'table.csv',
      '-m',
      'simulator/echo',
      '-p',
      'Say {{text}}',
      '--id',
      'key',
      '--wait',
    );
    expect((await promptmill('results', stdout.trim(), '-o', 'table.out.csv')).exit).toBe(0);
    expect(cli.lines('table.out.csv')).toEqual([
      'custom_id,answer,error,model,input_tokens,output_tokens,cost_usd',
      'a,Say one,,echo,2,2,',
      'b,Say two,,echo,2,2,',
    ]);
  });

  it('submit what repeats itself, and pay for each question once', async () => {
    await writeFile(cli.path('same.txt'), 'one\ntwo\none\none\n');
    const args = ['submit', 'same.txt', '-m', 'simulator/echo', '--temperature', '0', '--dedupe', '--cache', '2h'];
    const { stdout } = await promptmill(...args, '--wait');
    expect(await batchOf(stdout.trim())).toMatchObject({
      request_counts: { total: 4, completed: 4 },
      promptmill: { dedupe: true, cache: '2h', copied: 2 },
    });
    expect(await shown('status', stdout.trim())).toMatch(/\n {2}copied {4}2 results of the same requests\n/);
    expect((await promptmill('results', stdout.trim(), '--answers')).stdout).toBe('one\ntwo\none\none\n');
    const refused = await promptmill(...args.slice(0, -1), '7 days');
    expect([refused.exit, refused.stderr]).toEqual([1, expect.stringContaining('it must be from 1m to 30d')]);
  });

  it('submit with a schema, and get a table with its properties', async () => {
    await writeFile(cli.path('asked.txt'), 'one\ntwo [[sim:mismatch=always]]\n');
    const schema = '{"type": "object", "properties": {"stars": {"type": "integer"}}, "required": ["stars"]}';
    const args = ['submit', 'asked.txt', '-m', 'simulator/json', '--schema', schema, '--wait'];
    const { stdout } = await promptmill(...args);
    expect((await promptmill('results', stdout.trim(), '-o', 'asked.csv')).exit).toBe(1);
    const [header, one, two] = cli.lines('asked.csv');
    expect(header).toBe('custom_id,stars,answer,error,model,input_tokens,output_tokens,cost_usd');
    expect(one).toMatch(/^request-1,1,"\{""stars"":1\}",,json,\d+,3,[\de.-]+$/);
    expect(two).toMatch(/^request-2,,"\{""wrong"":\[1\]\}","?schema_mismatch: .*,json,\d+,4,[\de.-]+$/);
    expect((await promptmill('results', stdout.trim(), '--answers')).stdout).toBe('{"stars":1}\n\n');
  });

  it('print the results of a running batch, and all of them with --follow', async () => {
    const id = await submit('slow.txt');
    const early = await promptmill('results', id, '-o', 'slow.jsonl');
    expect([early.exit, early.stderr]).toEqual([1, expect.stringContaining('add --follow to wait') as string]);
    const followed = await promptmill('results', id, '--follow');
    expect(followed.exit).toBe(0);
    expect(new Set(ids(followed.stdout)).size).toBe(50);
  });

  it('show, list and cancel a batch', async () => {
    const id = await submit('endless.txt');
    expect(await batchOf(id)).toMatchObject({ id, object: 'batch' });
    expect(JSON.parse((await promptmill('list', '-n', '1')).stdout)).toMatchObject([{ id, object: 'batch' }]);
    expect(await shown('status', id)).toContain(`${id}\n  status `);
    expect(await shown('list', '-n', '1')).toMatch(
      new RegExp(`^BATCH +STATUS .*\n${id}  (validating|in_progress) .*\n$`),
    );
    expect(JSON.parse(await shown('list', '-n', '1', '--json'))).toMatchObject([{ id }]);

    expect((await promptmill('cancel', id)).stdout).toMatch(/ is cancell(ing|ed): /);
    expect((await promptmill('watch', id)).exit).toBe(1);
    const { stdout } = await promptmill('results', id);
    expect(ids(stdout)).toEqual(Array.from({ length: 50 }, (_, index) => `request-${index + 1}`));
  });

  it('pause and resume', async () => {
    const id = await submit('endless.txt');
    expect((await promptmill('pause', id)).stdout).toContain(`${id} is paused: `);
    expect(await shown('status', id)).toMatch(/\n {2}paused {4}since \d{4}-/);
    expect(await shown('list', '-n', '1')).toMatch(new RegExp(`\n${id}  paused `));
    expect((await promptmill('resume', id)).stdout).toContain(`${id} is resumed: `);
    expect((await promptmill('resume', id, '--max-cost', '5')).stderr).toContain('The price of simulator/echo');
    expect((await promptmill('resume', id, '--max-cost', '0')).stderr).toContain('It must be a number above 0.');
    expect(await batchOf(id)).toMatchObject({ promptmill: { paused_at: null } });
    await promptmill('cancel', id);
    expect((await promptmill('watch', id)).exit).toBe(1);
    expect(await promptmill('pause', id)).toMatchObject({
      exit: 1,
      stderr: "error: Cannot pause a batch with status 'cancelled'.\n",
    });
  });

  it.runIf(inLongForm)('name the next command, which can be typed as it stands', async () => {
    /** Runs the command that a text names after a label. */
    const runFrom = (text: string, label: string): Promise<Ended> => {
      const [, words = ''] = new RegExp(`${label}promptmill (.*?)(?: shows| gets| lets|\\n)`).exec(text) ?? [];
      return promptmill(...words.split(' '));
    };
    await writeFile(cli.path('cents.txt'), 'a few words\n'.repeat(20));
    const submitted = await promptmill('submit', 'cents.txt', '-m', 'simulator/json', '--max-cost', '0.000005');
    expect(submitted.stderr).toMatch(/^promptmill watch \S+ shows its progress, promptmill results \S+ its results\n$/);
    const id = submitted.stdout.trim();
    const watcher = cli.start(['watch', id], env);
    await until('it says how it goes on', () => watcher.stderr().includes('next: '));
    expect(watcher.stderr()).toContain(`next: promptmill resume ${id} --max-cost 0.00001\n`);
    watcher.child.kill('SIGINT');
    expect((await watcher.ended).stderr).toMatch(new RegExp(`promptmill watch ${id} shows it again\\n$`));

    const refused = await promptmill('resume', id);
    expect([refused.exit, refused.stderr]).toEqual([
      1,
      `error: the batch has reached its max_cost: promptmill resume ${id} --max-cost 0.00001\n`,
    ]);
    const status = await shown('status', id);
    expect(status).toMatch(/\n {2}waits {5}waiting for money: The batch has spent .*\n {2}next {6}promptmill resume /);
    expect((await runFrom(status, ' next +')).stdout).toContain(`${id} is resumed: `);
    const paused = await promptmill('pause', id);
    expect((await runFrom(paused.stdout, '; ')).stdout).toContain(`${id} is resumed: `);
    const cancelled = await promptmill('cancel', id);
    await promptmill('watch', id);
    expect(ids((await runFrom(cancelled.stdout, '; ')).stdout)).toHaveLength(20);
    const watched = await promptmill('watch', id);
    expect((await runFrom(watched.stderr, ' results +')).stderr).toContain(' of 20: ');
    expect((await runFrom(watched.stderr, ' retry +')).exit).toBe(0);
  });

  it('retry failed requests, or those that are named', async () => {
    const id = await submit('three.txt');
    await promptmill('watch', id);
    const retryOf = async (...options: string[]): Promise<string> => {
      const { exit, stdout } = await promptmill('retry', id, ...options);
      expect(exit).toBe(0);
      await promptmill('watch', stdout.trim());
      return stdout.trim();
    };
    const failed = await retryOf();
    expect(ids((await promptmill('results', failed)).stdout)).toEqual(['request-2']);
    const named = await retryOf('--error-code', '400', '--custom-id', 'request-1');
    expect(ids((await promptmill('results', named)).stdout)).toEqual(['request-1', 'request-2']);
    expect(await shown('status', id)).toContain(`retries   ${failed} ${named}`);
    expect(await batchOf(named)).toMatchObject({ promptmill: { retry_of: id } });
    expect((await promptmill('retry', id, '--custom-id', 'other')).stderr).toContain("has no request 'other'");
  });

  it('leave a batch alone when Ctrl-C stops its watcher', async () => {
    const id = await submit('slow.txt');
    const watcher = cli.start(['watch', id], env);
    await until('it watches', () => watcher.stderr().includes('done'));
    watcher.child.kill('SIGINT');
    expect((await watcher.ended).exit).toBe(130);
    expect((await promptmill('watch', id)).exit).toBe(0);
  });

  it('name the input lines that keep a batch from running', async () => {
    await writeFile(cli.path('twice.jsonl'), '{"prompt":"a","custom_id":"x"}\n{"prompt":"b","custom_id":"x"}\n');
    const { exit, stderr } = await promptmill('submit', 'twice.jsonl', '-m', 'simulator/echo', '--wait');
    expect([exit, stderr]).toEqual([
      1,
      expect.stringMatching(/^twice\.jsonl:2: .*\nerror: nothing was started\n$/) as string,
    ]);
  });

  it('say plainly what is wrong', async () => {
    expect((await promptmill('status', 'batch_none')).stderr).toMatch(
      /^error: No batch found with id 'batch_none': promptmill list shows yours\n$/,
    );
    const wrongKey = await cli.run(['list'], { ...env, PROMPTMILL_API_KEY: 'wrong' });
    expect(wrongKey.stderr).toMatch(/^error: .*: export PROMPTMILL_API_KEY=… with a key of this server\n$/);
    const unreachable = await cli.run(['list'], { PROMPTMILL_URL: 'http://127.0.0.1:9' });
    expect(unreachable.stderr).toMatch(
      /^error: cannot reach http:\/\/127\.0\.0\.1:9: start it with promptmill serve, or name another with export PROMPTMILL_URL=.*\n$/,
    );
    const taken = await cli.run(['serve'], {
      PORT: new URL(env['PROMPTMILL_URL'] ?? '').port,
      PROMPTMILL_DATA_DIR: 'other',
    });
    expect([taken.exit, taken.stderr]).toEqual([1, expect.stringMatching(/^error: the port is taken/) as string]);
  });
});

it('serve stops at SIGTERM, and exits with 0', async () => {
  server.child.kill('SIGTERM');
  expect(await server.ended).toMatchObject({ exit: 0, stderr: expect.stringContaining('stopping') as string });
});
