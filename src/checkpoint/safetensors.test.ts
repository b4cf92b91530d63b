import fc from "fast-check";
import { describe, expect, it } from "vitest";
import type { HostTensor } from "../base/dtype.ts";
import { LonghandError } from "../base/errors.ts";
import { decodeSafetensors, encodeSafetensors } from "./safetensors.ts";

function join(chunks: readonly Uint8Array[]): Uint8Array {
  return new Uint8Array(Buffer.concat(chunks));
}

/** A file from a header text of one's own and data. */
function file(header: string, data: Uint8Array = new Uint8Array(0)): Uint8Array {
  const head = new Uint8Array(8);
  const json = new TextEncoder().encode(header);
  new DataView(head.buffer).setBigUint64(0, BigInt(json.length), true);
  return join([head, json, data]);
}

function messageFor(bytes: Uint8Array): string {
  try {
    decodeSafetensors(bytes, "m.safetensors");
  } catch (error) {
    expect(error).toBeInstanceOf(LonghandError);
    expect((error as LonghandError).code).toBe("checkpoint");
    return (error as LonghandError).message;
  }
  return "accepted";
}

const small: Record<string, HostTensor> = {
  "layers.0.mask": { dtype: "bool", shape: [3], data: Uint8Array.of(1, 0, 1) },
  "layers.0.weight": { dtype: "float32", shape: [2, 2], data: Float32Array.of(1, -0, Number.NaN, 1e-45) },
  step: { dtype: "int32", shape: [], data: Int32Array.of(-7) },
  nothing: { dtype: "float32", shape: [0, 4], data: new Float32Array(0) },
};

const shapes = fc.array(fc.integer({ min: 0, max: 4 }), { maxLength: 3 });
const size = (shape: readonly number[]) => shape.reduce((a, b) => a * b, 1);
const exactly = (shape: readonly number[]) => ({ minLength: size(shape), maxLength: size(shape) });
const anyTensor: fc.Arbitrary<HostTensor> = shapes.chain((shape) =>
  fc.oneof(
    fc
      .array(fc.float(), exactly(shape))
      .map((a): HostTensor => ({ dtype: "float32", shape, data: Float32Array.from(a) })),
    fc
      .array(fc.integer(), exactly(shape))
      .map((a): HostTensor => ({ dtype: "int32", shape, data: Int32Array.from(a) })),
    fc.array(fc.nat(1), exactly(shape)).map((a): HostTensor => ({ dtype: "bool", shape, data: Uint8Array.from(a) })),
  ),
);
const names = fc.string({ unit: "grapheme" }).filter((name) => name !== "__metadata__" && name !== "__proto__");

describe("a round trip", () => {
  it("gives back any tensors under any names, at any place in a buffer", () => {
    fc.assert(
      fc.property(
        fc.dictionary(names, anyTensor),
        fc.dictionary(names, fc.string()),
        fc.nat(7),
        (tensors, metadata, shift) => {
          const bytes = join(encodeSafetensors(tensors, metadata));
          const shifted = new Uint8Array(bytes.length + shift).subarray(shift);
          shifted.set(bytes);
          const read = decodeSafetensors(shifted, "m");
          expect({ ...read.tensors }).toEqual({ ...tensors });
          expect({ ...read.metadata }).toEqual({ ...metadata });
        },
      ),
      { numRuns: 200 },
    );
  });

  it("copies no bytes: chunks are the tensors' own memory, and aligned tensors are views of the file", () => {
    const chunks = encodeSafetensors(small);
    expect(chunks[0].length % 8).toBe(0);
    expect(chunks.slice(1).map((c) => c.buffer)).toEqual([
      small["layers.0.weight"].data.buffer,
      small.step.data.buffer,
      small["layers.0.mask"].data.buffer,
    ]);
    const bytes = join(chunks);
    const { tensors } = decodeSafetensors(bytes, "m");
    for (const name of ["layers.0.weight", "step", "layers.0.mask"]) {
      expect(tensors[name].data.buffer).toBe(bytes.buffer);
    }
  });

  it("reads 64-bit integers and bytes, which are never written, as int32", () => {
    const data = Uint8Array.from([1, 0, 0, 0, 0, 0, 0, 0, 0xfe, 255, 255, 255, 255, 255, 255, 255, 250]);
    const header =
      '{"__metadata__":{"k":"v"},"a":{"dtype":"I64","shape":[1,2],"data_offsets":[0,16]},' +
      '"b":{"dtype":"U8","shape":[1],"data_offsets":[16,17]}}     ';
    const { tensors, metadata } = decodeSafetensors(file(header, data), "m");
    expect(tensors.a).toEqual({ dtype: "int32", shape: [1, 2], data: Int32Array.of(1, -2) });
    expect(tensors.b).toEqual({ dtype: "int32", shape: [1], data: Int32Array.of(250) });
    expect({ ...metadata }).toEqual({ k: "v" });
  });

  it("reads both kinds of two-byte floats, which are never written, as float32", () => {
    const half = [0x3c00, 0xc000, 0x3555, 0x0001, 0x03ff, 0x0400, 0x7bff, 0x8000, 0x7c00, 0xfc00, 0x7e00];
    const brain = [0x3f80, 0xc000, 0x3eab, 0x0001, 0x7f7f, 0xff80, 0x7fc0];
    const data = new Uint8Array(Uint16Array.from([...half, ...brain]).buffer);
    const header = `{"h":{"dtype":"F16","shape":[11],"data_offsets":[0,22]},"b":{"dtype":"BF16","shape":[7],"data_offsets":[22,36]}}`;
    const { tensors } = decodeSafetensors(file(header, data), "m");
    const halves = [1, -2, 1365 / 4096, 2 ** -24, 1023 * 2 ** -24, 2 ** -14, 65504, -0, Infinity, -Infinity, NaN];
    const brains = [1, -2, 171 / 512, 2 ** -133, 255 * 2 ** 120, -Infinity, NaN];
    expect(tensors.h).toEqual({ dtype: "float32", shape: [11], data: Float32Array.from(halves) });
    expect(tensors.b).toEqual({ dtype: "float32", shape: [7], data: Float32Array.from(brains) });
  });

  it("takes 64-bit integers at the ends of 32 bits and refuses those beyond", () => {
    const of = (value: bigint) => {
      const data = new Uint8Array(8);
      new DataView(data.buffer).setBigInt64(0, value, true);
      return file('{"t":{"dtype":"I64","shape":[],"data_offsets":[0,8]}}', data);
    };
    for (const value of [2n ** 31n - 1n, -(2n ** 31n), 0n, -1n]) {
      expect(decodeSafetensors(of(value), "m").tensors.t.data[0]).toBe(Number(value));
    }
    for (const value of [2n ** 31n, -(2n ** 31n) - 1n, 2n ** 32n, -(2n ** 63n)]) {
      expect(messageFor(of(value))).toBe(
        `m.safetensors: tensor "t": element 0 is ${value}, which does not fit 32 bits`,
      );
    }
  });
});

describe("a damaged file", () => {
  it("is refused when cut at any byte, or when a byte is added", () => {
    const bytes = join(encodeSafetensors(small, { note: "é" }));
    for (let length = 0; length < bytes.length; length++) {
      expect(messageFor(bytes.slice(0, length)), `cut at ${length}`).toMatch(/^m\.safetensors: .+/);
    }
    expect(messageFor(join([bytes, Uint8Array.of(0)]))).toMatch("bytes follow the header, but its tensors take");
  });

  it("never crashes otherwise than by a LonghandError, whichever bits of the header are flipped", () => {
    const bytes = join(encodeSafetensors(small, { note: "x" }));
    const headerEnd = 8 + Number(new DataView(bytes.buffer).getBigUint64(0, true));
    for (let bit = 0; bit < headerEnd * 8; bit++) {
      const flipped = bytes.slice();
      flipped[bit >> 3] ^= 1 << (bit & 7);
      messageFor(flipped); // asserts the kind of error
    }
  });

  const tensor = (fields: string) => `{"w":{${fields}}}`;
  const twoTensors = (a: string, b: string) =>
    `{"a":{"dtype":"U8","shape":[4],"data_offsets":${a}},"b":{"dtype":"U8","shape":[4],"data_offsets":${b}}}`;
  it.each<[string, string, string]>([
    ["no object", "[1]", 'must be a JSON object, but begins with "[1]"'],
    ["leading space", ' {"a":1}', "must be a JSON object"],
    ["no JSON", '{"w":', "the header is not valid JSON"],
    ["tensor no object", '{"w":3}', 'tensor "w": expected an object, got 3'],
    ["null tensor", '{"w":null}', 'tensor "w": expected an object, got null'],
    [
      "unknown dtype",
      tensor('"dtype":"F64","shape":[1],"data_offsets":[0,8]'),
      'tensor "w": dtype "F64" is not one of',
    ],
    ["inherited dtype", tensor('"dtype":"constructor","shape":[1],"data_offsets":[0,8]'), 'dtype "constructor"'],
    ["dtype missing", tensor('"shape":[1],"data_offsets":[0,8]'), 'tensor "w": dtype undefined'],
    ["unknown field", tensor('"dtype":"F32","shape":[2],"data_offsets":[0,8],"x":1'), 'unknown field "x"'],
    ["negative size", tensor('"dtype":"F32","shape":[-2],"data_offsets":[0,8]'), "shape must be a list of integers"],
    ["two negative sizes", tensor('"dtype":"F32","shape":[-2,-1],"data_offsets":[0,8]'), "got [-2,-1]"],
    ["fraction", tensor('"dtype":"F32","shape":[0.5,4],"data_offsets":[0,8]'), "got [0.5,4]"],
    ["unsafe size", tensor('"dtype":"F32","shape":[9007199254740993,0],"data_offsets":[0,0]'), "shape must be"],
    ["size as text", tensor('"dtype":"F32","shape":["2"],"data_offsets":[0,8]'), 'got ["2"]'],
    ["shape as object", tensor('"dtype":"F32","shape":{"length":0},"data_offsets":[0,8]'), "shape must be a list"],
    ["offsets missing", tensor('"dtype":"F32","shape":[2]'), "data_offsets must be two integers"],
    ["three offsets", tensor('"dtype":"F32","shape":[2],"data_offsets":[0,8,8]'), "got [0,8,8]"],
    ["negative offset", tensor('"dtype":"F32","shape":[2],"data_offsets":[-8,0]'), "got [-8,0]"],
    ["end before begin", tensor('"dtype":"F32","shape":[2],"data_offsets":[8,0]'), "end before they begin"],
    ["beyond the data", tensor('"dtype":"F32","shape":[3],"data_offsets":[0,12]'), "reach beyond the 8 bytes"],
    ["shape too large", tensor('"dtype":"F32","shape":[3],"data_offsets":[0,8]'), "[3] of F32 takes 12 bytes"],
    ["huge shape", tensor('"dtype":"F32","shape":[4294967296,4294967296],"data_offsets":[0,8]'), "takes"],
    ["shape too small", tensor('"dtype":"F32","shape":[1],"data_offsets":[0,8]'), "takes 4 bytes"],
    ["bytes over", tensor('"dtype":"F32","shape":[1],"data_offsets":[0,4]'), "8 bytes follow the header"],
    ["gap at the start", tensor('"dtype":"F32","shape":[1],"data_offsets":[4,8]'), "leave a gap after byte 0"],
    ["overlap", twoTensors("[0,4]", "[2,6]"), 'tensor "b": data_offsets [2, 6] overlap'],
    ["same place", twoTensors("[0,4]", "[0,4]"), "overlap another tensor"],
    [
      "gap between",
      `{"a":{"dtype":"U8","shape":[3],"data_offsets":[0,3]},"b":{"dtype":"U8","shape":[4],"data_offsets":[4,8]}}`,
      "gap after byte 3",
    ],
    [
      "duplicate tensor",
      `{"w":{"dtype":"F32","shape":[2],"data_offsets":[0,8]},"\\u0077":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}}`,
      'names "w" twice',
    ],
    ["duplicate field", tensor('"dtype":"F32","dtype":"I32","shape":[2],"data_offsets":[0,8]'), 'names "dtype" twice'],
    ["duplicate metadata", '{"__metadata__":{"a":"1","a":"2"}}', 'names "a" twice'],
    ["metadata no object", '{"__metadata__":"x"}', "__metadata__ must be an object"],
    ["metadata no text", '{"__metadata__":{"a":1}}', '__metadata__ "a" must be a string, got 1'],
    ["prototype", '{"__proto__":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}}', "forbidden name"],
    ["prototype in metadata", '{"__metadata__":{"__proto__":"x"}}', "forbidden name"],
    [
      "prototype in a tensor",
      '{"w":{"__proto__":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}}}',
      'unknown field "__proto__"',
    ],
  ])("with a header that lies is refused: %s", (_, header, problem) => {
    const message = messageFor(file(header, new Uint8Array(8)));
    expect(message).toMatch(/^m\.safetensors: /);
    expect(message).toContain(problem);
  });

  it("with an impossible header length, bytes that are no UTF-8, or a bool that is none, is refused", () => {
    const head = (length: bigint) => {
      const bytes = new Uint8Array(40).fill(0x20);
      new DataView(bytes.buffer).setBigUint64(0, length, true);
      return bytes;
    };
    expect(messageFor(head(100_000_001n))).toMatch("over the limit of 100000000");
    expect(messageFor(head(2n ** 64n - 1n))).toMatch("header length 18446744073709551615 is over");
    expect(messageFor(head(33n))).toMatch("the header is 33 bytes long, but only 32 bytes follow");
    expect(messageFor(head(0n))).toMatch("must be a JSON object");
    const text = head(32n);
    text[8] = 0xff;
    expect(messageFor(text)).toMatch("not valid UTF-8");
    const bool = file('{"m":{"dtype":"BOOL","shape":[2],"data_offsets":[0,2]}}', Uint8Array.of(1, 2));
    expect(messageFor(bool)).toMatch('tensor "m": element 1 is 2, but a bool is 0 or 1');
  });

  it("does not mistake braces, quotes and colons inside names for keys", () => {
    const odd: Record<string, HostTensor> = {};
    for (const name of ['"', '\\"', '{"a":1}', "a", "a:", "dtype", "constructor", "]"]) odd[name] = small.step;
    expect(Object.keys(decodeSafetensors(join(encodeSafetensors(odd)), "m").tensors)).toEqual(Object.keys(odd));
  });
});

describe("encoding", () => {
  it.each<[string, Record<string, HostTensor>]>([
    [
      'tensor "w": expected 6 elements for shape [2, 3], got 5',
      { w: { ...small.step, shape: [2, 3], data: new Int32Array(5) } },
    ],
    ['tensor "w": expected data of int32, got Float32Array', { w: { ...small.step, data: new Float32Array(1) } }],
    ['tensor "w": element 0 is 9, but a bool is 0 or 1', { w: { dtype: "bool", shape: [1], data: Uint8Array.of(9) } }],
    ['tensor "__metadata__": this name is reserved', { __metadata__: small.step }],
  ])("refuses what could not be read back: %s", (message, tensors) => {
    expect(() => encodeSafetensors(tensors)).toThrow(message);
  });
});
