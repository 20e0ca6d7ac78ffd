import { access, constants, statfs } from 'node:fs/promises';
import { dirname } from 'node:path';
import { type Check, checksOf } from './check.ts';

const { ok, warning, failed } = checksOf('data folder');

const gibibyte = 2 ** 30;
const warnBelowBytes = gibibyte;
const failBelowBytes = gibibyte / 10;

/** The folder, or while it does not exist, its nearest parent that does. */
const existing = async (directory: string): Promise<string> => {
  try {
    await access(directory);
    return directory;
  } catch {
    return directory === dirname(directory) ? directory : existing(dirname(directory));
  }
};

/** Checks that the data folder can be written to, and how much room it has. */
export const checkDataFolder = async (directory: string): Promise<Check> => {
  const folder = await existing(directory);
  try {
    await access(folder, constants.W_OK | constants.X_OK);
  } catch {
    return failed(
      `${folder} cannot be written to`,
      'Name another in PROMPTMILL_DATA_DIR, or change who may write there.',
    );
  }
  const { bavail, bsize } = await statfs(folder);
  const free = bavail * bsize;
  const message = `${directory} can be written to, ${(free / gibibyte).toFixed(1)} GiB free`;
  const hint =
    'The input, the segments and the output of every batch are kept there: make room, or set PROMPTMILL_DATA_DIR.';
  if (free < failBelowBytes) return failed(message, hint);
  return free < warnBelowBytes ? warning(message, hint) : ok(message);
};
