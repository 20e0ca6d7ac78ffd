import { execFile } from 'node:child_process';
import { rmSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import type { TestProject } from 'vitest/node';

const build = (folder: string): Promise<unknown> =>
  promisify(execFile)(process.execPath, [
    '--disable-warning=ExperimentalWarning',
    fileURLToPath(new URL('build-process.ts', import.meta.url)),
    folder,
  ]);

// Each project of the test run calls this; they share one build.
let shared: Promise<unknown> | undefined;

/**
 * Builds what the processes of tests run, for `main-path.ts`. Such a process starts in less than half the time, and the
 * tests start several hundred. The long form, and tests that run again at each change, run the sources.
 */
export const setup = async (project: TestProject): Promise<(() => void) | undefined> => {
  if (project.config.watch || process.env['TEST_LONG'] === '1') return undefined;
  const folder = fileURLToPath(new URL(`../../.tools/test-build/${process.pid}`, import.meta.url));
  shared ??= build(folder);
  await shared;
  process.env['TEST_BUILD'] = folder;
  return () => rmSync(folder, { recursive: true, force: true });
};
