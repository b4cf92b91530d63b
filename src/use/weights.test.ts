/** The weights of an export in each format: how large, how far from the model's, and what is refused. */
import { describe, expect, it } from "vitest";
import { smallModel } from "../../test/support/small-model.ts";
import type { HostTensor } from "../base/dtype.ts";
import { decodeSafetensors, encodeSafetensors, type NarrowTensor } from "../checkpoint/safetensors.ts";
import { weightFormats } from "../config/export-settings.ts";
import { parametersOf } from "../models/language-model.ts";
import { architectureNames } from "../models/registry.ts";
import { initialise } from "../nn/scope.ts";
import { BLOCK } from "./quantised.ts";
import { decodeWeights, encodeWeights } from "./weights.ts";

const flash = smallModel("flash", { context: 32, vocabSize: 270, causal: true });
const values = initialise(parametersOf(flash), 1);
const bytesIn = (
  format: (typeof weightFormats)[number],
  model = flash,
  parameters = initialise(parametersOf(model), 1),
) => Buffer.concat(encodeWeights(parameters, model, { format, where: "model" }).chunks);

describe.each(architectureNames())("%s", (name) => {
  const model = smallModel(name, { context: 32, vocabSize: 270, causal: true });
  const parameters = initialise(parametersOf(model), 1);

  it.each(weightFormats)("as %s comes back within its bound", (format) => {
    const { parameters: read, format: told } = decodeWeights(bytesIn(format, model), model, "file");
    expect(told).toBe(format);
    expect(Object.keys(read)).toEqual(Object.keys(parameters));
    for (const { path, role } of parametersOf(model)) {
      const [before, after] = [parameters[path], read[path]];
      expect(after).toMatchObject({ dtype: "float32", shape: before.shape });
      if (format === "float32" || role === "other") expect(after.data, path).toEqual(before.data);
      const largest = (before.data as Float32Array).reduce((most, value) => Math.max(most, Math.abs(value)), 0);
      for (const [i, value] of before.data.entries()) {
        const bound = format === "int8" ? largest / 254 : Math.abs(value) / 2048 + 2 ** -25;
        expect(Math.abs(after.data[i] - value), path).toBeLessThanOrEqual(1.000001 * bound);
      }
    }
  });

  it("takes a half and a little more than a quarter of the bytes", () => {
    const [whole, half, quarter] = weightFormats.map((format) => bytesIn(format, model).length);
    const small = parametersOf(model).reduce(
      (sum, { role, tensor }) => sum + (role === "other" ? 4 * tensor.size : 0),
      0,
    );
    const head = 200 * parametersOf(model).length;
    expect(half).toBeLessThanOrEqual((whole - small) / 2 + small + head);
    expect(quarter).toBeLessThanOrEqual(((whole - small) / 4) * (1 + 4 / BLOCK) + small + head);
  });

  it("says where each tensor lies", () => {
    const { chunks, stored, bytes } = encodeWeights(parameters, model, { format: "int8", where: "model" });
    const file = Buffer.concat(chunks);
    expect(file.length).toBe(bytes);
    const { tensors } = decodeSafetensors(file, "file");
    for (const [path, { place, scale }] of Object.entries(stored)) {
      const raw = file.subarray(place.offset, place.offset + place.bytes);
      expect(place.dtype).toBe(scale ? "I8" : "F32");
      expect(place.offset % (scale ? 1 : 4)).toBe(0);
      const own = tensors[path].data;
      const first = scale ? raw.readInt8() : raw.readFloatLE();
      expect(first).toBe(own[0]);
      if (scale) expect(file.readFloatLE(scale.place.offset)).toBe(tensors[`${path}.scale`].data[0]);
    }
  });
});

describe("what is no such file", () => {
  const changed = (
    format: (typeof weightFormats)[number],
    change: (tensors: Record<string, HostTensor | NarrowTensor>, metadata: Record<string, string>) => void,
  ) => {
    const { tensors, metadata, places } = decodeSafetensors(bytesIn(format), "file");
    const again: Record<string, HostTensor | NarrowTensor> = { ...tensors };
    for (const [path, { dtype, shape }] of Object.entries(places)) {
      if (dtype === "I8") again[path] = { dtype: "int8", shape, data: Int8Array.from(tensors[path].data) };
    }
    change(again, metadata);
    return () => decodeWeights(Buffer.concat(encodeSafetensors(again, metadata)), flash, "file");
  };
  const path = "layers.0.hidden.weight";

  it.each<[string, () => unknown, RegExp]>([
    [
      "not a number",
      changed("float32", (t) => {
        t[path].data[3] = Number.NaN;
      }),
      /^file: tensor layers\.0\.hidden\.weight: element 3 is NaN, not a finite number$/,
    ],
    [
      "infinite",
      changed("float32", (t) => {
        t[path].data[0] = Number.NEGATIVE_INFINITY;
      }),
      /element 0 is -Infinity, not a finite number$/,
    ],
    [
      "an infinite scale",
      changed("int8", (t) => {
        t[`${path}.scale`].data[0] = Number.POSITIVE_INFINITY;
      }),
      /weight\.scale: element 0 is Infinity/,
    ],
    [
      "missing",
      changed("float32", (t) => {
        delete t[path];
      }),
      /^file: tensor layers\.0\.hidden\.weight is missing$/,
    ],
    [
      "without scale",
      changed("int8", (t) => {
        delete t[`${path}.scale`];
      }),
      /weight\.scale is missing$/,
    ],
    [
      "another tensor",
      changed("float32", (t) => {
        Object.assign(t, { constructor: t[path] });
      }),
      /^file: tensor constructor does not belong to this model$/,
    ],
    [
      "numbers where integers are said",
      changed("int8", (t) => {
        t[path] = values[path];
      }),
      /expected int32\[.*got float32/,
    ],
    [
      "wider integers",
      changed("int8", (t) => {
        t[path] = { ...t[path], dtype: "int32", data: Int32Array.from(t[path].data) };
      }),
      /expected I8, got I32$/,
    ],
    [
      "whole numbers where halves are said",
      changed("float16", (t) => {
        t[path] = values[path];
      }),
      /expected F16, got F32$/,
    ],
    [
      "another format",
      changed("int8", (_, m) => {
        m.weights = "int4";
      }),
      /^file: expected weights as one of float32, float16, int8$/,
    ],
    [
      "no block",
      changed("int8", (_, m) => {
        delete m.block;
      }),
      /^file: expected elements of a block, got undefined$/,
    ],
    [
      "another block",
      changed("int8", (_, m) => {
        m.block = "16";
      }),
      /scale: expected float32\[.*got float32/,
    ],
    [
      "more layers",
      () => decodeWeights(bytesIn("float32"), { ...flash, layers: 1e9 }, "file"),
      /^file: expected the tensors of 1000000000 layers, got \d+ tensors$/,
    ],
    [
      "another width",
      () => decodeWeights(bytesIn("float32"), { ...flash, width: 1e9 }, "file"),
      /^file: tensor embedding\.weight: expected \[270, 1000000000\], got \[270, 32\]$/,
    ],
  ])("is refused: %s", (_, decode, sentence) => {
    expect(decode).toThrow(sentence);
  });

  it("is not written either", () => {
    const large = { ...values, [path]: { ...values[path], data: Float32Array.from(values[path].data, () => 70000) } };
    expect(() => bytesIn("float16", flash, large)).toThrow(
      "element 0 is 70000, and float16 ends at 65504; choose other `weights`",
    );
    const none = {
      ...values,
      [path]: { ...values[path], data: Float32Array.from(values[path].data, () => Number.NaN) },
    };
    expect(() => bytesIn("int8", flash, none)).toThrow("model: tensor layers.0.hidden.weight: element 0 is NaN");
  });
});
