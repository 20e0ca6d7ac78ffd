import type { CommandWords, OptionWords } from './command-words.ts';
import { pathCases, valueCases } from './shell-cases.ts';

const choose = (words: string): string => `COMPREPLY=($(compgen -W '${words}' -- "$current"))`;
// Names of files may have spaces. The bash of macOS has no compopt, and then shows them without a slash.
const files = 'compopt -o filenames 2>/dev/null; IFS=$\'\\n\'; COMPREPLY=($(compgen -f -- "$current"))';

const completeValue = (value: OptionWords['value']): string => {
  if (value === 'file') return files;
  return value === 'other' || value === undefined ? ':' : choose(value.join(' '));
};

const commandCase = ({ path, commands, options, argument }: CommandWords): string => {
  const names = options.flatMap((option) => option.names).join(' ');
  const words = commands.map(({ name }) => name).join(' ');
  return `    '${path}')
      if [[ $current == -* ]]; then ${choose(names)}
      else ${words === '' ? completeValue(argument) : choose(words)}; fi ;;`;
};

/** A script that bash 3.2 and newer run. Source: https://www.gnu.org/software/bash/manual/html_node/Programmable-Completion.html */
export const bashCompletion = (
  all: readonly CommandWords[],
): string => `# promptmill's completion for bash. In ~/.bashrc:
#   eval "$(promptmill completion bash)"
_promptmill() {
  local IFS=$' \\t\\n' current=\${COMP_WORDS[COMP_CWORD]} previous=\${COMP_WORDS[COMP_CWORD - 1]} command= i
  COMPREPLY=()
  for ((i = 1; i < COMP_CWORD; i++)); do
    case "$command \${COMP_WORDS[i]}" in
${pathCases(all)}
    esac
  done
  case "$command $previous" in
${valueCases(all, completeValue)}
  esac
  case $command in
${all.map(commandCase).join('\n')}
  esac
}
complete -F _promptmill promptmill
`;
