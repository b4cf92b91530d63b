/** The engines that the tests can name. The interpreter stands among them behind the same interface. */
import { type HostArray, type HostTensor, hostArray } from "../../src/base/dtype.ts";
import type { Program } from "../../src/graph/program.ts";
import type { DeviceTensor, Engine, ResidentFunction } from "../../src/runtime/engine.ts";
import { ortNodeEngine } from "../../src/runtime/ort-node.ts";
import { interpret } from "../reference/interpreter.ts";

const engines = {
  interpreter: interpreterEngine,
  // Two threads, so that a kernel that races shows it.
  cpu: () => ortNodeEngine({ threads: 2 }),
  // The binding that stands in where the default one does not work.
  "cpu-node": () => ortNodeEngine({ threads: 2, binding: "node" }),
  // Where the machine has a GPU: ENGINE=webgpu.
  webgpu: () => ortNodeEngine({ device: "webgpu" }),
} satisfies Record<string, () => Engine>;

export type EngineName = keyof typeof engines;

/** The engines whose conformance is tested: the one named in ENGINE, or all that any machine has. */
export const testedEngines: readonly EngineName[] = process.env.ENGINE
  ? [engineOfEnvironment()]
  : ["interpreter", "cpu", "cpu-node"];

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
  const traffic = { sent: 0, received: 0 };
  const held = ({ dtype, shape, data }: HostTensor): InterpreterTensor => ({
    dtype,
    shape,
    data,
    async read() {
      traffic.received += data.byteLength;
      return data;
    },
    release() {},
  });
  async function compileResident(program: Program, resident: readonly string[]): Promise<ResidentFunction> {
    const unknown = resident.find((name) => !program.outputs.has(name));
    if (unknown !== undefined) throw new Error(`expected an output, got ${unknown}`);
    return {
      async run(inputs) {
        const arrays = Object.entries(inputs).map(([name, given]) => {
          if (ArrayBuffer.isView(given)) traffic.sent += given.byteLength;
          return [name, arrayOf(given)];
        });
        const host: Record<string, HostArray> = {};
        const device: Record<string, DeviceTensor> = {};
        for (const [name, { data, shape }] of Object.entries(interpret(program, Object.fromEntries(arrays)))) {
          const dtype = program.outputs.get(name)?.dtype ?? "float32";
          const array = hostArray(dtype, data.length);
          array.set(data);
          if (resident.includes(name)) device[name] = held({ dtype, shape, data: array });
          else {
            host[name] = array;
            traffic.received += array.byteLength;
          }
        }
        return { host, device };
      },
      async release() {},
    };
  }
  return {
    device: "cpu",
    threads: 1,
    separateMemory: false,
    traffic,
    compileResident,
    async compile(program) {
      const { run, release } = await compileResident(program, []);
      return { run: async (inputs) => (await run(inputs)).host, release };
    },
    async upload(tensor) {
      traffic.sent += tensor.data.byteLength;
      return held(tensor);
    },
    async close() {},
  };
}

interface InterpreterTensor extends DeviceTensor, HostTensor {}

function arrayOf(given: HostArray | DeviceTensor): HostArray {
  if (ArrayBuffer.isView(given)) return given;
  return (given as InterpreterTensor).data;
}
