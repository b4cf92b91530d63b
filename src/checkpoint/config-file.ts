/** `config.json` of a run folder as text: `format` and `version`, then the fields of the configuration. */
import { parseJsonObject, type Refuse, requireVersion } from "../base/checked-json.ts";
import { LonghandError, messageOf } from "../base/errors.ts";

/** The version of `config.json` that is written, and the only one that is read. */
const VERSION = 1;

/** Marks a `config.json` as ours: other programs use that name too. */
export const FORMAT = "longhand-run";

export const CONFIG_FILE = "config.json";

/** `file` is what errors call it. Throws `config` for a field that is the file's own. */
export function encodeConfig(config: object, file: string): string {
  for (const reserved of ["format", "version"]) {
    if (reserved in config) throw new LonghandError("config", `${file}: the field ${reserved} is the file's own`);
  }
  return `${JSON.stringify({ format: FORMAT, version: VERSION, ...config }, null, 2)}\n`;
}

/**
 * The fields of the configuration through `parse`, whose errors come out as `config` with the file's name in front. Throws
 * `checkpoint` for a file of another program, `config` when it is damaged or of another version.
 */
export function decodeConfig<T>(text: string, file: string, parse: (fields: unknown) => T): T {
  const { format, version, ...fields } = configFields(text, file);
  if (format !== FORMAT) throw new LonghandError("checkpoint", `${file}: it was not written by Longhand`);
  requireVersion(version, VERSION, refuseConfig(file));
  try {
    return parse(fields);
  } catch (error) {
    throw new LonghandError("config", `${file}: ${messageOf(error)}`, { cause: error });
  }
}

/** All fields of a `config.json`, whoever wrote it. Throws `config` when it holds no JSON object. */
export function configFields(text: string, file: string): Record<string, unknown> {
  return parseJsonObject(text, refuseConfig(file));
}

function refuseConfig(file: string): Refuse {
  return (problem, cause) => {
    throw new LonghandError("config", `${file}: ${problem}`, { cause });
  };
}
