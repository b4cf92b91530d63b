/** Settings as they are given and what follows from them. */
import { architectureNames } from "longhand";
import { describe, expect, it } from "vitest";
import { differences, identify, identitySchema } from "./machine.ts";
import { requireSameSettings } from "./manifest.ts";
import { resolveSettings, SPEED_CONTEXTS } from "./settings.ts";

describe("resolveSettings", () => {
  it("makes small models of a small budget", () => {
    expect(resolveSettings({ budget: 10 })).toMatchObject({ preset: "nano", tokens: 4096 });
    expect(resolveSettings({ budget: 31 })).toMatchObject({ preset: "tiny", tokens: 8192 });
    expect(resolveSettings({})).toMatchObject({
      budget: 60,
      preset: "tiny",
      models: architectureNames(),
      contexts: SPEED_CONTEXTS,
      optimizer: "muon",
      lr: [0.004, 0.008, 0.016],
    });
    expect(resolveSettings({ budget: 10, preset: "small" }).preset).toBe("small");
  });

  it("takes lists as text or as arrays, in the order of the report, once each", () => {
    const text = resolveSettings({
      models: "transformer++, flash,flash",
      contexts: "2048,512",
      only: "quality,speed",
      data: "a.txt, b",
    });
    expect(text).toMatchObject({
      models: ["flash", "transformer++"],
      contexts: [512, 2048],
      only: ["speed", "quality"],
      data: ["a.txt", "b"],
    });
    const arrays = {
      models: ["transformer++", "flash"],
      contexts: [2048, 512],
      only: ["quality", "speed"],
      data: ["a.txt", "b"],
    };
    expect(resolveSettings(arrays)).toEqual(text);
  });

  it("is the same of what it gave: a manifest can be read again", () => {
    const settings = resolveSettings({ data: "a.txt", budget: 10, qualityContexts: "512,1024", steps: 7 });
    expect(resolveSettings(JSON.parse(JSON.stringify(settings)))).toEqual(settings);
  });

  it("keeps the sections that an older comparison was begun with", () => {
    const older = { ...resolveSettings({ budget: 10 }), only: ["speed", "quality", "ablations", "context-use"] };
    const stored = resolveSettings(JSON.parse(JSON.stringify(older)));
    expect(stored.only).not.toContain("recall");
    expect(() => requireSameSettings("runs/x", stored, { budget: 10 })).not.toThrow();
  });

  it.each([
    [
      { only: "sped" },
      /^`only` sped: expected some of speed, quality, ablations, context-use, recall \(did you mean speed\?\)$/,
    ],
    [{ models: "bert" }, /^`models` bert: expected some of flash, /],
    [{ contexts: "512,1.5" }, /^`contexts` 1\.5: expected positive whole numbers$/],
    [{ lr: "-1" }, /^`lr` -1: expected positive numbers$/],
    [{ vocab: 10 }, /^`vocab` 10: /],
    [{ lrs: "1e-3" }, /^unknown field `lrs`$/],
  ])("%o is refused", (given, message) => {
    expect(() => resolveSettings(given)).toThrow(message);
  });
});

describe("requireSameSettings", () => {
  const stored = resolveSettings({ data: ["/a.txt"], budget: 10, steps: 5 });
  const check = (given: Record<string, unknown>) => requireSameSettings("runs/x", stored, given);

  it("allows what is the same, or not said", () => {
    expect(() => check({})).not.toThrow();
    expect(() =>
      check({ out: "elsewhere", budget: 10, data: ["/a.txt"], lr: "1.6e-2,8e-3,4e-3", preset: "nano" }),
    ).not.toThrow();
  });

  it("names all that differ", () => {
    expect(() => check({ steps: 6, models: "flash" })).toThrow(
      /^runs\/x was begun with `steps` 5, not 6; `models` flash,.*, not flash: /,
    );
  });
});

describe("the identity of a machine", () => {
  it("is the same as itself, and tells what is not", () => {
    const own = identify({ threads: 2, device: "cpu" });
    expect(differences(own, identify({ threads: 2, device: "cpu" }))).toEqual([]);
    expect(differences(own, { ...own, threads: 1, device: "webgpu", onnxruntime: "2.0" })).toEqual([
      `ONNX Runtime ${own.onnxruntime} -> 2.0`,
      "threads 2 -> 1",
      "device cpu -> webgpu",
    ]);
    const { device: _, ...before } = own;
    expect(identitySchema.parse(before)).toEqual(own); // of a report before devices were noted
  });
});
