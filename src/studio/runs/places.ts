/**
 * Where things lie below the runs folder. Names come from requests: none of them leads out of the folder, neither by
 * its parts nor by symbolic links.
 */
import { lstat, realpath } from "node:fs/promises";
import { join, resolve, sep } from "node:path";
import { systemCode } from "../../base/files.node.ts";
import { RequestError } from "../../service/failure.ts";

/** Longer names are no names of runs. */
const LONGEST = 1000;

/** What a part of a name can be: neither hidden nor something that systems take for more than a name. */
export function isPlainPart(part: string): boolean {
  const special = process.platform === "win32" ? /[\\:\p{Cc}]/u : /[\\\p{Cc}]/u;
  return part !== "" && !part.startsWith(".") && !special.test(part);
}

/** The path of something below the folder, there or not. `name`: plain parts with / between them. Throws 400. */
export function pathBelow(folder: string, name: string): string {
  const parts = name.split("/");
  if (name.length > LONGEST || !parts.every(isPlainPart))
    throw new RequestError(400, `${quoted(name)}: expected the name of something in the runs folder`);
  return join(folder, ...parts);
}

/** The path of what is there. Throws 400 as above, 404 for what is not there or lies elsewhere. */
export async function placeBelow(folder: string, name: string): Promise<string> {
  const path = pathBelow(folder, name);
  const missing = () => new RequestError(404, `${quoted(name)}: there is nothing of that name in the runs folder`);
  try {
    const [base, real] = await Promise.all([realpath(folder), realpath(path)]);
    if (real.startsWith(base + sep)) return path;
  } catch (error) {
    if (systemCode(error) === undefined) throw error;
  }
  throw missing();
}

/**
 * The path of something that is to be made below the folder. Throws 400 where a part of its path is a symbolic link
 * that leads out, or a file.
 */
export async function newPlaceBelow(folder: string, name: string): Promise<string> {
  const path = pathBelow(folder, name);
  let at = folder;
  for (const part of name.split("/")) {
    at = join(at, part);
    const status = await lstat(at).catch(() => undefined);
    if (status === undefined) break;
    if (!status.isDirectory())
      throw new RequestError(400, `${quoted(name)}: a part of it is a file or a link; choose another name`);
  }
  return path;
}

/** A folder as the user named it, without a slash at its end. */
export const tidy = (folder: string) => (resolve(folder) === sep ? sep : folder.replace(/[/\\]+$/, "") || ".");

export const quoted = (name: string) => JSON.stringify(name.slice(0, 200));
