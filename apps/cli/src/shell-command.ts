const plainWord = /^[\w@%+=:,./-]+$/;

/** A command line that a shell reads as these words. Source: POSIX, Shell Command Language, 2.2 Quoting */
export const shellCommand = (words: readonly string[]): string =>
  words.map((word) => (plainWord.test(word) ? word : `'${word.replaceAll("'", String.raw`'\''`)}'`)).join(' ');
