/** A server of a model with an adapter: it writes what the library writes with both, and refuses an adapter of another model. */
import { cpSync } from "node:fs";
import { join } from "node:path";
import { beforeAll, expect, it } from "vitest";
import { generate, loadModel } from "../../src/index.ts";
import { succeed, tiny } from "../cli/command.ts";
import { complete, metric, send, servers, trainedModels } from "./server.ts";

const { folder, text, book } = trainedModels();
const start = servers();
const adapter = join(folder, "adapted");
const other = join(folder, "other");

beforeAll(async () => {
  const few = ["--data", text, "--steps", "8", "--lr", "0.03"];
  await succeed(["train", "--from", book, "--out", adapter, ...few, "--adapter", "rank=2", "--threads", "1"]);
  await succeed(["train", "--out", other, ...few, "--seed", "2", ...tiny]);
}, 120_000);

async function written(adapters: readonly string[] | undefined): Promise<string> {
  const model = await loadModel(book, { adapter: adapters && [...adapters] });
  let whole = "";
  for await (const piece of generate(model, { prompt: "It was", tokens: 24, temperature: 0 }))
    if (piece.type === "end") whole = piece.text;
  await model.close();
  return whole;
}

it("writes and goes on with sessions as the model with its adapter", { timeout: 60_000 }, async () => {
  const sessions = join(folder, "sessions");
  const server = await start({ models: [book], adapter: [adapter], sessions, host: "localhost" });
  const [adapted, plain] = [await written([adapter]), await written(undefined)];
  expect(adapted).not.toBe(plain);
  const greedy = { temperature: 0, max_tokens: 24 };
  expect((await complete(server, greedy)).choices[0].text).toBe(adapted);
  const begun = await complete(server, { ...greedy, max_tokens: 10, session: true });
  const rest = await complete(server, { ...greedy, max_tokens: 14, session: begun.session, prompt: "" });
  expect(begun.choices[0].text + rest.choices[0].text).toBe(adapted);
  expect(await metric(server, "sessions")).toBe(1);
  // What was kept was computed with the adapter: a server without it does not go on with it.
  await server.close();
  const without = await start({ models: [book], sessions });
  const refused = await send(without, "/v1/completions", { model: "book", prompt: "", session: begun.session });
  expect([404, 410]).toContain(refused.status);
  expect((await complete(without, greedy)).choices[0].text).toBe(plain);
});

it("refuses an adapter of another model, one beside two models, and what is none", { timeout: 60_000 }, async () => {
  await expect(start({ models: [other], adapter: [adapter] })).rejects.toMatchObject({ code: "checkpoint" });
  await expect(start({ models: [book, other], adapter: [adapter] })).rejects.toThrow("expected one model beside it");
  await expect(start({ models: [book], adapter: [join(folder, "none")] })).rejects.toMatchObject({
    code: "checkpoint",
  });
  const copy = join(folder, "copy.safetensors");
  cpSync(join(book, "tokenizer.json"), copy);
  await expect(start({ models: [book], adapter: [copy] })).rejects.toMatchObject({ code: "checkpoint" });
});
