/**
 * `reproduce.json`: the settings, the plan with the calibration behind it, the machine and versions. A folder with one
 * can be continued with the same settings on the same machine; anything else is refused with the reason.
 */
import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { LonghandError } from "longhand";
import { describeIssues, messageOf, quoted, writeFileAtomic } from "longhand/tools";
import { z } from "zod";
import { calibrationPointSchema } from "./costs.ts";
import { jobSchema } from "./jobs.ts";
import { identitySchema } from "./machine.ts";
import { importModules } from "./modules.ts";
import { type ReproduceSettings, resolveSettings } from "./settings.ts";

const FILE = "reproduce.json";

export const planSchema = z.strictObject({
  jobs: z.array(z.strictObject({ job: jobSchema, seconds: z.number() })),
  leftOut: z.array(z.strictObject({ what: z.string(), why: z.string() })),
  prepareSeconds: z.number(),
  seconds: z.number(),
});

const manifestSchema = z.strictObject({
  format: z.literal("longhand-reproduce"),
  version: z.literal(1),
  created: z.string(),
  settings: z.record(z.string(), z.unknown()),
  identity: identitySchema,
  calibration: z.array(calibrationPointSchema),
  plan: planSchema,
});

const modulesSchema = z.object({ settings: z.object({ modules: z.array(z.string()).optional() }) });

export type Manifest = Omit<z.infer<typeof manifestSchema>, "settings"> & { readonly settings: ReproduceSettings };

/** Undefined for a folder that is not there or holds nothing. Throws "usage" for a folder of something else. */
export async function readManifest(folder: string): Promise<Manifest | undefined> {
  const path = join(folder, FILE);
  let text: string;
  try {
    text = await readFile(path, "utf8");
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code;
    if (code !== "ENOENT" && code !== "ENOTDIR") {
      throw new LonghandError("io", `cannot read ${path}: ${messageOf(error)}`, { cause: error });
    }
    await requireEmpty(folder);
    return undefined;
  }
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    throw new LonghandError("config", `${path}: it is no JSON (${messageOf(error)}); start anew with \`overwrite\``);
  }
  await importModules(modulesSchema.safeParse(value).data?.settings.modules); // before their architectures are looked up
  const parsed = manifestSchema.safeParse(value);
  if (!parsed.success) {
    throw new LonghandError("config", `${path}: ${describeIssues(parsed.error, value)}; start anew with \`overwrite\``);
  }
  // Comparisons that were begun before there was a choice trained with AdamW, and with this weight decay.
  const settings = resolveSettings({ optimizer: "adamw", weightDecay: 0.01, ...parsed.data.settings });
  return { ...parsed.data, settings };
}

async function requireEmpty(folder: string): Promise<void> {
  let names: string[];
  try {
    names = await readdir(folder);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return;
    throw new LonghandError("usage", `\`out\` ${folder}: it is not a folder; choose another`, { cause: error });
  }
  if (names.some((name) => !name.startsWith("."))) {
    throw new LonghandError(
      "usage",
      `\`out\` ${folder}: the folder holds something else than a comparison; choose another`,
    );
  }
}

/** Throws "io" when the disk refuses. */
export async function writeManifest(folder: string, manifest: Manifest): Promise<void> {
  await writeFileAtomic(join(folder, FILE), [`${JSON.stringify(manifest, undefined, 1)}\n`]);
}

/** What a manifest of these parts says of itself. */
export const manifestMark = { format: "longhand-reproduce", version: 1 } as const;

/** Throws "usage" when a setting that was given is not that of the folder, naming all that differ. */
export function requireSameSettings(
  folder: string,
  stored: ReproduceSettings,
  given: Readonly<Record<string, unknown>>,
): void {
  const { budget, preset } = stored;
  const now = resolveSettings({ budget, preset, ...given });
  const changed = (Object.keys(given) as (keyof ReproduceSettings)[])
    .filter((key) => key !== "out" && given[key] !== undefined)
    .filter((key) => JSON.stringify(now[key]) !== JSON.stringify(stored[key]))
    .map((key) => `${quoted(key)} ${show(stored[key])}, not ${show(now[key])}`);
  if (changed.length === 0) return;
  throw new LonghandError(
    "usage",
    `${folder} was begun with ${changed.join("; ")}: go on without these, choose another \`out\`, or start anew with \`overwrite\``,
  );
}

const show = (value: unknown) =>
  value === undefined ? "the default" : Array.isArray(value) ? value.join(",") : String(value);
