/**
 * A run folder: made for one training, refused when it would mix with something else, recognised by its `config.json`,
 * which holds the whole configuration and a version.
 */
import { existsSync } from "node:fs";
import { mkdir, readdir, rm, rmdir } from "node:fs/promises";
import { dirname, join, resolve } from "node:path";
import { LonghandError } from "../base/errors.ts";
import { systemCode, writeError } from "../base/files.node.ts";
import { isTemporaryName, writeFileAtomic } from "./atomic.node.ts";
import { CONFIG_FILE, configFields, decodeConfig, encodeConfig, FORMAT } from "./config-file.ts";
import { readText } from "./read.node.ts";
import { LOCK_FILE } from "./run-lock.node.ts";

interface NewRunFolder {
  /**
   * Deletes what an overwritten run holds, apart from `config.json`, which marks the folder as ours until `writeConfig`
   * replaces it. Call it with the lock held and everything about the new run checked. Throws `io`.
   */
  empty(): Promise<void>;
  /** For a run that failed before it wrote anything: removes the folders that were made here and are still empty. */
  undo(): Promise<void>;
}

/**
 * Makes the folder of a new run, with its parents. A folder that holds anything is refused, unless `overwrite` is set
 * and it is a run folder; nothing in it is touched before `empty()`. Throws `usage` naming --out, --overwrite and
 * --resume, and `io` when the system refuses.
 */
export async function createRunFolder(
  dir: string,
  { overwrite = false }: { overwrite?: boolean } = {},
): Promise<NewRunFolder> {
  if ((await contentOf(dir)).length > 0) {
    const ours = await isRunFolder(dir);
    if (!overwrite) {
      const advice = ours
        ? `choose another with \`out\`, go on with it by \`resume\` ${dir}, or delete what it holds with \`overwrite\``
        : "it is not a run of Longhand; choose another with `out`";
      throw new LonghandError("usage", `\`out\` ${dir}: this folder exists and is not empty; ${advice}`);
    }
    if (!ours) {
      const reason = `\`overwrite\` deletes only run folders, and this one has no ${CONFIG_FILE} of Longhand`;
      throw new LonghandError("usage", `\`out\` ${dir}: ${reason}; choose another with \`out\``);
    }
  }
  const made = await makeFolders(dir);
  return {
    async empty() {
      try {
        for (const name of await contentOf(dir)) {
          if (name !== CONFIG_FILE) await rm(join(dir, name), { recursive: true, force: true });
        }
      } catch (error) {
        throw writeError(error, dir);
      }
    },
    undo: () => removeFolders(made),
  };
}

/**
 * Makes a folder and its missing parents; returns those that were made, outermost first. One by one, because Node's
 * recursive form hides the system's reason for refusing (it says ENOENT where the file system is read-only).
 */
export async function makeFolders(dir: string): Promise<string[]> {
  const wanted = [resolve(dir)];
  while (!existsSync(wanted[0]) && dirname(wanted[0]) !== wanted[0]) wanted.unshift(dirname(wanted[0]));
  const made: string[] = [];
  try {
    for (const path of wanted.slice(1)) {
      const isNew = await mkdir(path).then(
        () => true,
        (error) => {
          if (systemCode(error) === "EEXIST") return false; // somebody else has just made it
          throw error;
        },
      );
      if (isNew) made.push(path);
    }
    return made;
  } catch (error) {
    await removeFolders(made);
    throw writeError(error, dir);
  }
}

/** Removes folders, of which the innermost comes last, up to the first that is no longer empty. */
export async function removeFolders(paths: readonly string[]): Promise<void> {
  try {
    for (const path of paths.toReversed()) await rmdir(path);
  } catch {
    // Not empty: it stays, and so do its parents.
  }
}

/** What a folder holds besides locks and temporaries of runs that were killed before they wrote anything. */
async function contentOf(dir: string): Promise<string[]> {
  try {
    const names = await readdir(dir);
    return names.filter((name) => name !== LOCK_FILE && !isTemporaryName(name));
  } catch (error) {
    if (systemCode(error) === "ENOENT") return [];
    if (systemCode(error) === "ENOTDIR") {
      throw new LonghandError("usage", `\`out\` ${dir}: it is, or lies under, a file; choose a folder with \`out\``);
    }
    throw writeError(error, dir);
  }
}

/** Whether `dir` holds a `config.json` that Longhand wrote, of whatever version. */
export async function isRunFolder(dir: string): Promise<boolean> {
  return (await folderFormat(dir)) === FORMAT;
}

/** What the `config.json` of a folder says that it belongs to; undefined where there is none that can be read. */
export async function folderFormat(dir: string): Promise<unknown> {
  try {
    return configFields(await readConfigText(dir), join(dir, CONFIG_FILE)).format;
  } catch (error) {
    if (error instanceof LonghandError && error.code !== "io") return undefined;
    throw error;
  }
}

/** Writes `config.json`: `format`, `version`, then the fields of `config`, which has neither name. Throws `io`. */
export async function writeConfig(dir: string, config: object): Promise<void> {
  const file = join(dir, CONFIG_FILE);
  await writeFileAtomic(file, [encodeConfig(config, file)]);
}

/**
 * The configuration of a run folder: the fields of `config.json` without `format` and `version`, through `parse`, whose
 * errors come out as `config` with the file's name in front. Throws `checkpoint` when `dir` is not a run folder,
 * `config` when the file is damaged or of another version, and `io` when the system refuses.
 */
export async function readConfig<T>(dir: string, parse: (fields: unknown) => T): Promise<T> {
  return decodeConfig(await readConfigText(dir), join(dir, CONFIG_FILE), parse);
}

async function readConfigText(dir: string): Promise<string> {
  try {
    return await readText(join(dir, CONFIG_FILE));
  } catch (error) {
    if (!(error instanceof LonghandError) || systemCode(error.cause) !== "ENOENT") throw error;
    const advice = "give the run folder that a training has written";
    throw new LonghandError("checkpoint", `${dir} is not a run folder: it has no ${CONFIG_FILE}; ${advice}`, {
      cause: error,
    });
  }
}
