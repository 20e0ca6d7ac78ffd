import { writeFile } from 'node:fs/promises';
import { presets } from '@promptmill/core';
import { findPerson } from '../ask.ts';
import { CliError } from '../cli-error.ts';
import type { CliContext } from '../context.ts';
import { configText } from '../init/config-text.ts';

export interface InitOptions {
  /** Names of presets. Default: those that the user names when asked, else those whose key is set. */
  readonly provider?: readonly string[];
}

const file = 'promptmill.yaml';
const known = Object.keys(presets);

const withKeys = (env: CliContext['env']): readonly string[] =>
  known.filter((name) => !presets[name]?.isLocal && env[presets[name]?.apiKeyEnv ?? '']);

const assertKnown = (names: readonly string[]): void => {
  const unknown = names.find((name) => !known.includes(name));
  if (unknown !== undefined)
    throw new CliError(
      'provider_not_found',
      `there is no preset ${unknown}: name some of ${known.join(', ')}; any other provider is added to ${file} by hand`,
    );
};

/** Asks which presets to take. Where nobody can be asked, and by default, it is the usual ones. */
const ask = async (usual: readonly string[], context: CliContext): Promise<readonly string[]> => {
  using person = findPerson(context);
  const line = await person?.ask(
    `Presets: ${known.join(', ')}\nWhich will you use? Several with a space between (Enter: ${usual.join(' ')})\n`,
  );
  const names = (line ?? '').split(/[\s,]+/).filter((name) => name !== '');
  return names.length > 0 ? names : usual;
};

/** Writes a commented `promptmill.yaml` into the current folder. It replaces none, and asks only on a terminal. */
export const init = async ({ provider }: InitOptions, context: CliContext): Promise<number> => {
  const { env, screen } = context;
  const found = withKeys(env);
  const usual = found.length > 0 ? found : ['openai'];
  const names = provider ?? (await ask(usual, context));
  assertKnown(names);
  const chosen = [...new Set(names)];
  try {
    // It holds no keys, so who may read it follows the umask.
    await writeFile(file, configText(chosen), { flag: 'wx' });
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    if (code === 'EEXIST')
      throw new CliError('output_exists', `${file} is here already: edit it, or move it away and run this again`, {
        cause: error,
      });
    throw new CliError('output_unwritable', `cannot write ${file}: ${message}; run this in a folder of yours`, {
      cause: error,
    });
  }
  const missing = chosen.find((name) => !presets[name]?.isLocal && !env[presets[name]?.apiKeyEnv ?? '']);
  const exported = missing === undefined ? [] : [`export ${presets[missing]?.apiKeyEnv}=…`];
  const next = [...exported, `promptmill doctor --provider ${missing ?? chosen[0]}`].join(' && ');
  screen.write(`wrote ${file} for ${chosen.join(', ')}; next: ${next}\n`);
  return 0;
};
