/**
 * The engine on ONNX Runtime's native build for Node, by one of two bindings: onnxruntime-node, whose runs block the event
 * loop and copy their outputs, or the C interface of the same library, which does neither but knows the CPU alone
 * (docs/decisions/0033-the-binding.md).
 */
import { env, InferenceSession, listSupportedBackends, Tensor } from "onnxruntime-node";
import { LonghandError, messageOf } from "../base/errors.ts";
import type { Device, Engine } from "./engine.ts";
import { ortCPackage } from "./ort-c-session.node.ts";
import { OrtEngine, type OrtOptions } from "./ort-engine.ts";
import type { OrtPackage } from "./ort-function.ts";

/** The runtime's version. */
export const ortVersion: string = env.versions.node ?? env.versions.common;

/** Names of the providers that this build of the runtime has. */
export function ortProviders(): string[] {
  return listSupportedBackends().map(({ name }) => name);
}

export const bindings = ["c-api", "node"] as const;
export type Binding = (typeof bindings)[number];

/** Names the binding of the CPU. Default: c-api where it works, else node. */
export const BINDING_VARIABLE = "LONGHAND_BINDING";

export interface OrtNodeOptions extends OrtOptions {
  /** Default: what the environment variable LONGHAND_BINDING says, else c-api where it works. */
  readonly binding?: Binding;
}

/** Throws "engine" when a binding is asked for that does not work here, "usage" when the variable names none. */
export function ortNodeEngine({ binding = askedBinding(), ...options }: OrtNodeOptions = {}): Engine {
  return new OrtEngine(chooseBinding(options.device ?? "cpu", binding).ort, options);
}

export interface BindingChoice {
  readonly binding: Binding;
  /** Why, as half a sentence. */
  readonly reason: string;
  readonly ort: OrtPackage;
}

export function chooseBinding(device: Device, asked: Binding | undefined = askedBinding()): BindingChoice {
  const node = (reason: string): BindingChoice => ({ binding: "node", reason, ort: { InferenceSession, Tensor } });
  if (device !== "cpu") return node(`the device is ${device}`);
  if (asked === "node") return node("asked for");
  if (asked === undefined && process.platform !== "linux") return node(`c-api is untested on ${process.platform}`);
  try {
    const ort = ortCPackage();
    const { koffi, ort: runtime } = ort.versions;
    return { binding: "c-api", reason: `ONNX Runtime ${runtime} through koffi ${koffi}`, ort };
  } catch (error) {
    const problem = messageOf(error).split("\n")[0];
    if (asked === undefined) return node(`c-api does not work here: ${problem}`);
    throw new LonghandError("engine", `binding c-api: it does not work here; use node (${problem})`, { cause: error });
  }
}

function askedBinding(): Binding | undefined {
  const value = process.env[BINDING_VARIABLE];
  if (value === undefined || value === "") return undefined;
  const known = bindings.find((name) => name === value);
  if (known !== undefined) return known;
  throw new LonghandError("usage", `${BINDING_VARIABLE}=${value}: expected ${bindings.join(" or ")}`);
}
