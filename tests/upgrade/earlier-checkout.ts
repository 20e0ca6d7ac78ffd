import { execFile } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';

const root = fileURLToPath(new URL('../../', import.meta.url));

const run = async (cwd: string, script: string): Promise<string> =>
  (await promisify(execFile)('bash', ['-euo', 'pipefail', '-c', script], { cwd, maxBuffer: 64 * 1024 * 1024 })).stdout;

/** The commit that `UPGRADE_FROM` names, or the last tag before this one. */
const earlierVersion = async (): Promise<string> => {
  const named = process.env['UPGRADE_FROM'];
  if (named) return named;
  return (await run(root, 'git describe --tags --abbrev=0 HEAD^ 2>/dev/null || true')).trim();
};

/**
 * Puts the files and packages of an earlier version into a temporary folder.
 *
 * @throws when there is no tag and `UPGRADE_FROM` is not set
 */
export const openEarlierCheckout = async () => {
  const version = await earlierVersion();
  if (version === '') throw new Error('there is no tag to upgrade from: name a commit in UPGRADE_FROM');
  const directory = await mkdtemp(join(tmpdir(), 'promptmill-test-upgrade-'));
  await run(root, `git archive '${version}' | tar -x -C '${directory}'`);
  await run(directory, 'CI=true pnpm install --prod --frozen-lockfile --prefer-offline');
  return { version, directory, remove: () => rm(directory, { recursive: true, force: true }) };
};
