import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pino } from 'pino';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { type Config, loadConfig, watchConfig } from '../src/index.ts';

let directory: string;
let file: string;

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'promptmill-config-'));
  file = join(directory, 'promptmill.yaml');
});
afterEach(() => rm(directory, { recursive: true }));

const limit = (config: Config): number | undefined => config.lanes.route('xai/grok-4')?.lane.limits.concurrency;

test('a changed file is read again, and changes nothing when it is not valid', async () => {
  const error = vi.fn<() => void>();
  const logger = pino({ level: 'error', hooks: { logMethod: error } });
  const seen: (number | undefined)[] = [];
  await writeFile(file, 'providers: { xai: { concurrency: 5 } }');
  const watch = watchConfig(file, {
    load: () => loadConfig({ PROMPTMILL_CONFIG: file }),
    logger,
    onChange: async (config) => {
      seen.push(limit(config));
    },
  });
  // Two writes may fall into one tick of the file system's clock.
  const changeTo = async (content: string, condition: () => boolean): Promise<void> => {
    await writeFile(file, content);
    await expect.poll(condition, { timeout: 5000 }).toBe(true);
  };
  try {
    await changeTo('providers: { xai: { concurrency: 7 } }', () => seen.includes(7));
    await changeTo('providers: { xai: { concurrency: none } }', () => error.mock.calls.length > 0);
    expect(seen).toEqual([7]);
  } finally {
    watch.close();
  }
});
