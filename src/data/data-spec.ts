/** What `data` can be, and what messages call it. */

/** A path, a pattern, `-` or an address on the hub; or several paths. */
export type DataSpec = string | readonly string[];

/** For messages. */
export function nameOf(data: DataSpec): string {
  if (typeof data === "string") return data;
  return data.length === 1 ? data[0] : `${data[0]} and ${data.length - 1} more`;
}
