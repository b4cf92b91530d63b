/** 4,000 runs of a small program, each on an array of its own, whose handle is made anew; counts wrong answers. */
import { program } from "../../src/graph/program.ts";
import { input } from "../../src/graph/tensor.ts";
import { ortNodeEngine } from "../../src/runtime/ort-node.ts";

const runs = 4000;
const shape = [2, 3, 5, 7];
const size = 210;
const engine = ortNodeEngine({ threads: 1 });
const twice = await engine.compile(program("twice", { y: input("x", shape).mul(2) }));
const failures = new Set<string>();
let wrong = 0;
for (let i = 0; i < runs; i++) {
  try {
    const { y } = await twice.run({ x: new Float32Array(size).fill(i) });
    if (!y.every((value) => value === 2 * i)) wrong++;
  } catch (error) {
    failures.add(String(error));
  }
}
await engine.close();
console.log(JSON.stringify({ runs, wrong, failures: [...failures] }));
