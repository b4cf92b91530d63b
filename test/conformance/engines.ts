/** The engines that the tests can name. The interpreter stands among them behind the same interface. */
import { hostArray } from "../../src/base/dtype.ts";
import type { CompiledFunction, Engine } from "../../src/runtime/engine.ts";
import { ortNodeEngine } from "../../src/runtime/ort-node.ts";
import { interpret } from "../reference/interpreter.ts";

const engines = {
  interpreter: interpreterEngine,
  // Two threads, so that a kernel that races shows it.
  cpu: () => ortNodeEngine({ threads: 2 }),
  // Where the machine has a GPU: ENGINE=webgpu.
  webgpu: () => ortNodeEngine({ device: "webgpu" }),
} satisfies Record<string, () => Engine>;

export type EngineName = keyof typeof engines;

/** The engines whose conformance is tested: the one named in ENGINE, or all that any machine has. */
export const testedEngines: readonly EngineName[] = process.env.ENGINE
  ? [engineOfEnvironment()]
  : ["interpreter", "cpu"];

export function openEngine(name: EngineName): Engine {
  return engines[name]();
}

/** The engine named in the environment variable ENGINE; cpu without one. */
export function engineOfEnvironment(): EngineName {
  const name = process.env.ENGINE ?? "cpu";
  const names = Object.keys(engines) as EngineName[];
  const known = names.find((engine) => engine === name);
  if (known === undefined) throw new Error(`ENGINE: expected ${names.join(" or ")}, got ${name}`);
  return known;
}

function interpreterEngine(): Engine {
  return {
    device: "cpu",
    threads: 1,
    async compile(program): Promise<CompiledFunction> {
      return {
        async run(inputs) {
          const results = Object.entries(interpret(program, inputs));
          return Object.fromEntries(
            results.map(([name, { data }]) => {
              const host = hostArray(program.outputs.get(name)?.dtype ?? "float32", data.length);
              host.set(data);
              return [name, host];
            }),
          );
        },
        async release() {},
      };
    },
    async close() {},
  };
}
