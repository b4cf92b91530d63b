/** Words as a person would type them for a shell. */

/** Quoted where it must be, in the way of POSIX shells. */
export function shellWord(word: string): string {
  return /^[\w@%+=:,./-]+$/.test(word) ? word : `'${word.replaceAll("'", `'\\''`)}'`;
}

export const commandLine = (words: readonly string[]) => words.map(shellWord).join(" ");
