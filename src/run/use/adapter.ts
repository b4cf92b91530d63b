/**
 * Low-rank adapters as files: the matrices A and B of every linear map of a model (nn/scope.ts), some kilobytes, as
 * safetensors. Its metadata say for which parameters it was trained (a SHA-256 of them), rank and alpha, and have a checksum
 * of all that.
 */
import { stat } from "node:fs/promises";
import { join } from "node:path";
import type { HostTensor, TensorType } from "../../base/dtype.ts";
import { LonghandError } from "../../base/errors.ts";
import { sha256 } from "../../base/files.node.ts";
import { writeFileAtomic } from "../../checkpoint/atomic.node.ts";
import { digestOfTensors } from "../../checkpoint/digest.node.ts";
import { readAtMost } from "../../checkpoint/read.node.ts";
import { requireTensors } from "../../checkpoint/require-tensors.ts";
import { decodeSafetensors, encodeSafetensors, type SafetensorsFile } from "../../checkpoint/safetensors.ts";
import { adapterSchema } from "../../config/run-config.ts";
import type { ModelConfig } from "../../models/architecture.ts";
import { parameterCount, parametersOf } from "../../models/language-model.ts";
import type { AdapterConfig } from "../../nn/scope.ts";

type Tensors = Readonly<Record<string, HostTensor>>;

/** In the folder of the run that trains it. */
const ADAPTER_FILE = "adapter.safetensors";
export const ADAPTER_FORMAT = "longhand-adapter";
const VERSION = "1";
/** No adapter of a model is larger than its parameters times this. */
const LARGEST = 8;

export interface Adapter {
  /** Where it was read. */
  readonly path: string;
  readonly config: AdapterConfig;
  /** SHA-256 of the parameters that it was trained beside. */
  readonly base: string;
  readonly tensors: Tensors;
}

/** The tensors of an adapter of this model. */
export function adapterTypes(model: ModelConfig, adapter: AdapterConfig): Record<string, TensorType> {
  const trained = parametersOf(model, { adapter }).filter(({ trained }) => trained);
  return Object.fromEntries(trained.map(({ path, shape }) => [path, { dtype: "float32", shape }]));
}

/** Writes `adapter.safetensors` into a folder, whole or not at all. */
export async function writeAdapter(folder: string, { config, base, tensors }: Omit<Adapter, "path">): Promise<void> {
  const said = { base, rank: String(config.rank), alpha: String(config.alpha) };
  const metadata = { format: ADAPTER_FORMAT, version: VERSION, ...said, sha256: checksum(said, tensors) };
  await writeFileAtomic(join(folder, ADAPTER_FILE), encodeSafetensors(tensors, metadata));
}

function checksum(said: Readonly<Record<"base" | "rank" | "alpha", string>>, tensors: Tensors): string {
  const { base, rank, alpha } = said;
  return sha256(JSON.stringify([base, rank, alpha]), digestOfTensors(tensors));
}

/** What adapters are to be added to. */
export interface AdaptedModel {
  /** Its folder, for errors. */
  readonly path: string;
  readonly model: ModelConfig;
  /** SHA-256 of its parameters, with and without what was added to them before. */
  readonly bases: readonly string[];
}

/**
 * Reads an adapter of this model, from its file or the folder of the run that trained it. Throws `checkpoint` for a file that
 * is missing, damaged, no adapter, or one that was trained beside other parameters.
 */
export async function readAdapter(path: string, of: AdaptedModel): Promise<Adapter> {
  const file = (await isFolder(path)) ? join(path, ADAPTER_FILE) : path;
  return decodeAdapter(await readAtMost(file, 2 ** 20 + LARGEST * 4 * parameterCount(of.model)), file, of);
}

/** The adapter in the bytes of a file. */
export function decodeAdapter(bytes: Uint8Array, file: string, { path, model, bases }: AdaptedModel): Adapter {
  const refuse = (problem: string) => new LonghandError("checkpoint", `${file}: ${problem}`);
  const { tensors, metadata } = decodeSafetensors(bytes, file);
  if (metadata.format !== ADAPTER_FORMAT) throw refuse("it is no adapter that Longhand has trained");
  const problem = adapterProblem({ tensors, metadata });
  if (problem !== undefined) throw refuse(problem);
  const { base = "", rank = "", alpha = "" } = metadata;
  if (!bases.includes(base)) {
    throw refuse(
      `it was trained beside other parameters than those of ${path}; give it to the model that it was trained from`,
    );
  }
  const config = adapterSchema.safeParse({ rank: Number(rank), alpha: Number(alpha) });
  if (!config.success) throw refuse(`expected a rank and an alpha, got ${rank} and ${alpha}`);
  requireTensors(tensors, adapterTypes(model, config.data), file);
  return { path: file, config: config.data, base, tensors };
}

/** What is wrong with the file of an adapter, of whatever model. */
export function adapterProblem({
  tensors,
  metadata,
}: Pick<SafetensorsFile, "tensors" | "metadata">): string | undefined {
  const { version, base = "", rank = "", alpha = "" } = metadata;
  if (version !== VERSION) return `expected version ${VERSION}, got ${version}`;
  const isWhole = metadata.sha256 === checksum({ base, rank, alpha }, tensors);
  return isWhole ? undefined : "it does not match its checksum: it was damaged after it was saved";
}

async function isFolder(path: string): Promise<boolean> {
  try {
    return (await stat(path)).isDirectory();
  } catch {
    return false; // reading it says what is the matter
  }
}
