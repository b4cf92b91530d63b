/** Checks that a device works on this machine, before a run begins or a model is loaded. */
import { LonghandError, messageOf } from "../../base/errors.ts";
import { program } from "../../graph/program.ts";
import { input } from "../../graph/tensor.ts";
import type { Device } from "../../runtime/engine.ts";
import { ortNodeEngine } from "../../runtime/ort-node.ts";

/** What keeps a device from computing a product of two small matrices; undefined when nothing does. */
export async function problemOf(device: Device): Promise<string | undefined> {
  const engine = ortNodeEngine({ device });
  try {
    const x = input("x", [2, 2]);
    const square = await engine.compile(program("device", { y: x.matmul(x) }));
    const { y } = await square.run({ x: Float32Array.of(1, 2, 3, 4) });
    const right = [7, 10, 15, 22].every((n, i) => Math.abs(y[i] - n) < 0.1);
    return right ? undefined : `it computed a wrong product: ${[...y].join(", ")}`;
  } catch (error) {
    return messageOf(error).replace(/\s+/g, " ").trim();
  } finally {
    await engine.close();
  }
}

/** Throws `engine` naming the device when it fails to compute a small product. The CPU is not tried. */
export async function requireDevice(device: Device): Promise<void> {
  const problem = device === "cpu" ? undefined : await problemOf(device);
  if (problem === undefined) return;
  const advice = "this machine cannot compute on it; use `device` cpu";
  throw new LonghandError("engine", `\`device\` ${device}: ${advice} (${problem})`);
}
