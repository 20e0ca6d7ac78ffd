import { type CommandWords, type OptionWords, quoted } from './command-words.ts';

const valueText = (value: OptionWords['value']): string => {
  if (value === undefined) return '';
  if (value === 'file') return ' -r -F';
  return value === 'other' ? ' -x' : ` -x -a ${quoted(value.join(' '))}`;
};

const nameText = (name: string): string => (name.startsWith('--') ? `-l ${name.slice(2)}` : `-s ${name.slice(1)}`);

const linesOf = ({ path, commands, options, argument }: CommandWords): readonly string[] => {
  const here = `complete -c promptmill -n ${quoted(`__promptmill_at "${path}"`)}`;
  return [
    ...commands.map(({ name, description }) => `${here} -a ${name} -d ${quoted(description)}`),
    ...options.map(
      ({ names, description, value }) =>
        `${here} ${names.map(nameText).join(' ')}${valueText(value)} -d ${quoted(description)}`,
    ),
    ...(argument === 'file' ? [`${here} -F`] : []),
    ...(typeof argument === 'string' ? [] : [`${here} -a ${quoted(argument.join(' '))}`]),
  ];
};

/** Source: https://fishshell.com/docs/current/completions.html */
export const fishCompletion = (all: readonly CommandWords[]): string => `# promptmill's completion for fish:
#   promptmill completion fish > ~/.config/fish/completions/promptmill.fish
function __promptmill_at
  set -l at ''
  for word in (commandline -opc)[2..-1]
    switch "$at $word"
${all
  .filter(({ path }) => path !== '')
  .map(({ path }) => `      case '${path.includes(' ') ? '' : ' '}${path}'\n        set at '${path}'`)
  .join('\n')}
    end
  end
  test "$at" = "$argv[1]"
end
complete -c promptmill -f
${all.flatMap(linesOf).join('\n')}
`;
