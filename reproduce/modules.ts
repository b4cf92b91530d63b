/** Modules of a user, which register architectures: imported by every process of a comparison before anything else. */
import { pathToFileURL } from "node:url";
import { LonghandError } from "longhand";
import { messageOf } from "longhand/tools";

/** Throws "usage" for one that cannot be imported. */
export async function importModules(paths: readonly string[] = []): Promise<void> {
  for (const path of paths) {
    await import(pathToFileURL(path).href).catch((error) => {
      throw new LonghandError("usage", `modules: ${path} cannot be imported: ${messageOf(error)}`, { cause: error });
    });
  }
}
