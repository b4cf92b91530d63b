/** Settings as flags of the command line, both ways of naming them. */

/** evalEvery -> --eval-every */
export function flagOf(field: string): string {
  return `--${field.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)}`;
}

/** The fields that a message or a description names in backquotes, as flags. */
export function withFlags(text: string): string {
  return text.replace(/`([a-z][\w.]*)`/g, (_, field: string) => flagOf(field));
}

/**
 * The words by which a command is given a setting. A list that is written after one flag ends where the next flag
 * begins.
 */
export function flagWords(field: string, value: unknown, { variadic = false } = {}): string[] {
  const flag = flagOf(field);
  if (value === true) return [flag];
  if (value === false || value === undefined) return [];
  const texts = [value].flat().map(textOf);
  if (variadic && texts.every((text) => !text.startsWith("-"))) return [flag, ...texts];
  return texts.flatMap((text) => (text.startsWith("-") ? [`${flag}=${text}`] : [flag, text]));
}

/** An object as field=value,…, which is how a flag takes one. */
function textOf(value: unknown): string {
  if (typeof value !== "object" || value === null) return String(value);
  return Object.entries(value)
    .map(([name, own]) => `${name}=${own}`)
    .join(",");
}
