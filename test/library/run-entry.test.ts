/** What `longhand/run` loads: an exported model is used without the packages and the code of training. */
import { execFile } from "node:child_process";
import { promisify } from "node:util";
import { expect, it } from "vitest";
import { root } from "../cli/command.ts";

/** Prints every file that importing an entry loads, of this package and of others. */
const program = (entry: string) => `
  import { createRequire, register } from "node:module";
  import { MessageChannel } from "node:worker_threads";
  const { port1, port2 } = new MessageChannel();
  const files = new Set();
  port1.on("message", (url) => files.add(url));
  const hooks = \`
    let port;
    export const initialize = (given) => { port = given; };
    export async function resolve(name, context, next) {
      const found = await next(name, context);
      port.postMessage(found.url);
      return found;
    }\`;
  register("data:text/javascript," + encodeURIComponent(hooks), { data: port2, transferList: [port2] });
  await import(${JSON.stringify(entry)});
  await new Promise((resolve) => setTimeout(resolve, 100));
  for (const path of Object.keys(createRequire(import.meta.url).cache)) files.add("file://" + path);
  port1.close();
  console.log(JSON.stringify([...files]));`;

async function loaded(entry: string) {
  const args = ["--input-type=module", "-e", program(entry)];
  const { stdout } = await promisify(execFile)(process.execPath, args, { cwd: root });
  const urls = JSON.parse(stdout) as string[];
  const packages = urls.flatMap((url) => /node_modules\/((?:@[^/]+\/)?[^/]+)(?!.*node_modules)/.exec(url)?.[1] ?? []);
  const own = urls.flatMap((url) => /dist\/src\/(.*)$/.exec(url)?.[1] ?? []);
  return { packages: [...new Set(packages)].sort(), own };
}

it("loads five packages and their parts, and nothing of training, preparing or serving", async () => {
  const { packages, own } = await loaded("longhand/run");
  // koffi is loaded with the first engine, where it is used.
  const direct = ["@bufbuild/protobuf", "onnxruntime-common", "onnxruntime-node", "tokenizers", "zod"];
  expect(packages.filter((name) => !name.startsWith("tokenizers-") && !name.startsWith("@tokenizers/"))).toEqual(
    direct,
  );
  const rooms = new Set(own.map((file) => file.split("/")[0]));
  for (const room of ["train", "serve", "cli"]) expect(rooms, room).not.toContain(room);
  const runs = own.filter((file) => file.startsWith("run/")).map((file) => file.split("/")[1]);
  expect(new Set(runs)).toEqual(new Set(["export", "machine", "use"]));
  const whole = await loaded("longhand");
  expect(own.length).toBeLessThan(0.6 * whole.own.length);
  expect(packages.length).toBeLessThan(0.5 * whole.packages.length);
});
