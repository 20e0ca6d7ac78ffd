import { type CommandWords, type OptionWords, quoted } from './command-words.ts';
import { pathCases, valueCases } from './shell-cases.ts';

const described = (name: string, description: string): string => quoted(`${name}:${description.replaceAll(':', ' ')}`);

const completeValue = (value: OptionWords['value']): string => {
  if (value === 'file') return '_files';
  return value === 'other' || value === undefined ? ':' : `compadd -- ${value.join(' ')}`;
};

const commandCase = ({ path, commands, options, argument }: CommandWords): string => {
  const names = options.flatMap((option) => option.names.map((name) => described(name, option.description)));
  const words = commands.map(({ name, description }) => described(name, description));
  return `    '${path}')
      words_here=(${words.join(' ')})
      options_here=(${names.join(' ')})
      if [[ $PREFIX == -* ]]; then _describe option options_here
      ${words.length > 0 ? 'else _describe command words_here' : `else ${completeValue(argument)}`}; fi ;;`;
};

/** Source: https://zsh.sourceforge.io/Doc/Release/Completion-System.html */
export const zshCompletion = (all: readonly CommandWords[]): string => `#compdef promptmill
# promptmill's completion for zsh. In ~/.zshrc, after compinit:
#   source <(promptmill completion zsh)
_promptmill() {
  local command= i
  local -a words_here options_here
  for ((i = 2; i < CURRENT; i++)); do
    case "$command \${words[i]}" in
${pathCases(all)}
    esac
  done
  case "$command \${words[CURRENT - 1]}" in
${valueCases(all, completeValue)}
  esac
  case $command in
${all.map(commandCase).join('\n')}
  esac
}
if [[ \${funcstack[1]} == _promptmill ]]; then _promptmill "$@"; else compdef _promptmill promptmill; fi
`;
