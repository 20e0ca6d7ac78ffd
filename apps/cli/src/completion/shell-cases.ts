import type { CommandWords, OptionWords } from './command-words.ts';

/** The cases of `case "$command $word" in`, in bash and in zsh: each word that leads from a command to one of its own. */
export const pathCases = (all: readonly CommandWords[]): string =>
  all
    .filter(({ path }) => path !== '')
    .map(({ path }) => `      '${path.includes(' ') ? '' : ' '}${path}') command='${path}' ;;`)
    .join('\n');

/**
 * The cases of `case "$command $previous" in`, in bash and in zsh: each option that takes a value.
 *
 * @param complete what the shell runs to complete a value.
 */
export const valueCases = (all: readonly CommandWords[], complete: (value: OptionWords['value']) => string): string =>
  all
    .flatMap(({ path, options }) =>
      options
        .filter(({ value }) => value !== undefined)
        .map(({ names, value }) => {
          const patterns = names.map((name) => `'${path} ${name}'`).join(' | ');
          return `    ${patterns}) ${complete(value)}; return ;;`;
        }),
    )
    .join('\n');
