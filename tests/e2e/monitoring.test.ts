import { type ChildProcess, execFileSync, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, inject, it, vi } from 'vitest';
import { createBatch, inputOf, untilBatch } from '../support/batches.ts';
import { freePort } from '../support/free-port.ts';
import { inLongForm } from '../support/long-form.ts';
import { type Stack, startStack } from '../support/stack.ts';

const folder = fileURLToPath(new URL('../../deploy/grafana/', import.meta.url));
const isInstalled = (program: string): boolean => spawnSync(program, ['--version'], { stdio: 'ignore' }).status === 0;
const [hasPromtool, hasPrometheus] = ['promtool', 'prometheus'].map(isInstalled);
if (!hasPromtool) console.warn('deploy/grafana is not checked by promtool: it is not installed');
if (inLongForm && !hasPrometheus) console.warn('No Prometheus is asked what the dashboard asks: it is not installed');

describe.runIf(hasPromtool)('deploy/grafana', () => {
  it.each([
    ['check', 'rules', 'alerts.yml'],
    ['test', 'rules', 'alerts.test.yml'],
    ['check', 'config', '--syntax-only', 'prometheus.yml'],
  ])('promtool %s %s', (...command) => {
    expect(execFileSync('promtool', command, { cwd: folder, encoding: 'utf8' })).toContain('SUCCESS');
  });
});

describe.runIf(inLongForm && hasPrometheus)('a real Prometheus', () => {
  let stack: Stack;
  let prometheus: ChildProcess;
  let url: string;

  const get = async <Data>(path: string): Promise<Data> => {
    const answer = (await (await fetch(`${url}/api/v1/${path}`)).json()) as { status: string; data: Data };
    if (answer.status !== 'success') throw new Error(`${path}: ${JSON.stringify(answer)}`);
    return answer.data;
  };
  const ask = async (query: string): Promise<readonly unknown[]> =>
    (await get<{ result: unknown[] }>(`query?query=${encodeURIComponent(query)}`)).result;

  beforeAll(async () => {
    stack = await startStack({ redisUrl: inject('redisUrl') });
    const targets = [stack.api, ...stack.workers, ...stack.collectors].map((role) => new URL(role.url).host);
    const config = {
      global: { scrape_interval: '1s', evaluation_interval: '1s' },
      rule_files: [join(folder, 'alerts.yml')],
      scrape_configs: [{ job_name: 'promptmill', static_configs: [{ targets }] }],
    };
    const file = join(stack.directory, 'prometheus.yml');
    // JSON is YAML.
    await writeFile(file, JSON.stringify(config));
    const address = `127.0.0.1:${await freePort()}`;
    url = `http://${address}`;
    const storage = `--storage.tsdb.path=${join(stack.directory, 'prometheus')}`;
    prometheus = spawn('prometheus', [`--config.file=${file}`, storage, `--web.listen-address=${address}`], {
      stdio: 'ignore',
    });
    const areUp = async () => expect(await ask('sum(up) == 3')).toHaveLength(1);
    await vi.waitFor(areUp, { timeout: 60_000, interval: 200 });
  });
  afterAll(async () => {
    const ended = once(prometheus, 'close');
    prometheus.kill();
    await ended;
    await stack.stop();
  });

  it('takes each query of the dashboard, and has an answer for all but holds and fallbacks', async () => {
    const { panels } = JSON.parse(readFileSync(join(folder, 'dashboard.json'), 'utf8')) as {
      panels: { title: string; targets?: { expr: string }[] }[];
    };
    const queries = panels.flatMap(({ title, targets = [] }) =>
      targets.map(({ expr }) => ({ title, expr: expr.replaceAll('$__rate_interval', '1m').replaceAll('$lane', '.*') })),
    );
    // A rate needs values of two times.
    for (const round of [1, 2]) {
      const { id } = await createBatch(
        stack.client,
        inputOf(20, (i) => `Round ${round}, ${i}`),
      );
      const call = { model: 'simulator/echo', messages: [{ role: 'user' as const, content: 'Hi' }] };
      await stack.client.chat.completions.create(call);
      await untilBatch(stack.client, id);
      await expect.poll(() => ask(`promptmill_results_total == ${round * 20}`)).toHaveLength(1);
    }
    const unanswered = async (): Promise<string[]> => {
      const answers = await Promise.all(
        queries.map(async ({ title, expr }) => ({ title, count: (await ask(expr)).length })),
      );
      return [...new Set(answers.filter(({ count }) => count === 0).map(({ title }) => title))];
    };
    await expect.poll(unanswered).toEqual(['Holds and fallbacks']);
  });

  it('evaluates each alert, and none of them fires', async () => {
    interface Rule {
      readonly name: string;
      readonly health: string;
      readonly state: string;
    }
    const rules = async () =>
      (await get<{ groups: { rules: Rule[] }[] }>('rules')).groups.flatMap((group) => group.rules);
    await expect
      .poll(async () => (await rules()).map(({ health }) => health))
      .toEqual(Array.from({ length: 11 }, () => 'ok'));
    expect((await rules()).filter(({ state }) => state !== 'inactive')).toEqual([]);
  });
});
