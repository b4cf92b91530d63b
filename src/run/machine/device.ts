/** Checks that a device works on this machine, before a run begins or a model is loaded. */
import { LonghandError, messageOf } from "../../base/errors.ts";
import { program } from "../../graph/program.ts";
import { input } from "../../graph/tensor.ts";
import type { Device } from "../../runtime/engine.ts";
import { ortNodeEngine } from "../../runtime/ort-node.ts";

/** Throws `engine` naming the device when it fails to compute a small product. The CPU is not tried. */
export async function requireDevice(device: Device): Promise<void> {
  if (device === "cpu") return;
  const engine = ortNodeEngine({ device });
  try {
    const x = input("x", [2, 2]);
    const square = await engine.compile(program("device", { y: x.matmul(x) }));
    await square.run({ x: new Float32Array(4) });
  } catch (error) {
    const reason = messageOf(error).replace(/\s+/g, " ").trim();
    throw new LonghandError(
      "engine",
      `\`device\` ${device}: this machine cannot compute on it; use \`device\` cpu (${reason})`,
      { cause: error },
    );
  } finally {
    await engine.close();
  }
}
