import { writeFile } from 'node:fs/promises';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { type Cli, openCli, until } from './support/cli-process.ts';

let cli: Cli;

beforeEach(async () => {
  cli = await openCli();
});

afterEach(() => cli.close());

const answers = (name: string): unknown[] =>
  cli.lines(name).map((line) => {
    const { response } = JSON.parse(line) as { response: { body: { choices: { message: { content: unknown } }[] } } };
    return response.body.choices[0]?.message.content;
  });

const texts = ['First of all, a prompt of some length.', 'And then another one.', 'The last.'];

it('run --stream shows answers as they come, and writes the same results as run', async () => {
  const lines = [
    { prompt: texts[0] },
    {
      custom_id: 'own',
      method: 'POST',
      url: '/v1/chat/completions',
      body: { messages: [{ role: 'user', content: texts[1] }] },
    },
    { messages: [{ role: 'user', content: texts[2] }] },
  ];
  await writeFile(cli.path('prompts.jsonl'), lines.map((line) => JSON.stringify(line)).join('\n'));
  const args = ['run', 'prompts.jsonl', '-m', 'simulator/echo', '-c', '1', '--stream', '-q'];
  const { ended, stderr } = cli.start(args, { SIMULATOR_CHUNK_DELAY_MS: '150' });
  await until('the first words', () => /── request-1\nFirst of all/.test(stderr()));
  expect(stderr()).not.toContain('some length');
  const { exit, stdout } = await ended;
  expect([exit, stdout]).toEqual([0, '']);
  expect(stderr()).toBe(`── request-1\n${texts[0]}\n── own\n${texts[1]}\n── request-3\n${texts[2]}\n`);
  expect(answers('prompts.results.jsonl')).toEqual(texts);
});
