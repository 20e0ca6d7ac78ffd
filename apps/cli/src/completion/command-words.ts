import type { Command, Option } from 'commander';

export interface OptionWords {
  /** `['-o', '--output']` */
  readonly names: readonly string[];
  readonly description: string;
  /** What its value may be; undefined when it takes none. */
  readonly value: 'file' | 'other' | readonly string[] | undefined;
}

interface NamedWord {
  readonly name: string;
  readonly description: string;
}

/** What may be typed after a command, as shells complete it. */
export interface CommandWords {
  /** `''` for the program itself, `keys create` for a command of a command. */
  readonly path: string;
  readonly commands: readonly NamedWord[];
  readonly options: readonly OptionWords[];
  /** What its arguments are. */
  readonly argument: 'file' | 'other' | readonly string[];
}

const namesFile = (text: string): boolean => /(?<!@)file|folder|input/.test(text);

const valueOf = ({ argChoices, required, optional, flags }: Option): OptionWords['value'] => {
  if (argChoices) return argChoices;
  if (!required && !optional) return undefined;
  return namesFile(flags) ? 'file' : 'other';
};

const helpOption: OptionWords = { names: ['-h', '--help'], description: 'display help for command', value: undefined };

const argumentOf = ({ registeredArguments: [first] }: Command): CommandWords['argument'] => {
  if (first?.argChoices) return first.argChoices;
  return first && namesFile(first.name()) ? 'file' : 'other';
};

/** The words of a program's commands, with those of their commands, from what `--help` shows. */
export const commandWords = (program: Command, path = ''): readonly CommandWords[] => {
  const { commands } = program;
  const own: CommandWords = {
    path,
    commands: commands.map((command) => ({ name: command.name(), description: command.description() })),
    options: [
      ...program.options.map((option) => ({
        names: [option.short, option.long].filter((name) => name !== undefined),
        description: option.description,
        value: valueOf(option),
      })),
      helpOption,
    ],
    argument: argumentOf(program),
  };
  return [own, ...commands.flatMap((command) => commandWords(command, `${path} ${command.name()}`.trim()))];
};

/** The words in single quotes, as each of the shells reads them. What they hold cannot end the quotes. */
export const quoted = (text: string): string => `'${text.replaceAll("'", '’').replaceAll('\\', '/')}'`;
