import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { hostname, tmpdir } from "node:os";
import { basename, join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { crc32c, frameRecord, openEventFile } from "./tensorboard.ts";

let dir: string;
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), "longhand-events-"));
});
afterEach(() => rmSync(dir, { recursive: true, force: true }));

/** CRC-32C by table, most significant bit first on reflected data: another way than the one under test. */
function tableCrc(bytes: Uint8Array): number {
  const reflect = (value: bigint, bits: number) =>
    BigInt(`0b${value.toString(2).padStart(bits, "0").split("").reverse().join("")}`);
  let crc = 0xffffffffn;
  for (const byte of bytes) {
    crc ^= reflect(BigInt(byte), 8) << 24n;
    for (let bit = 0; bit < 8; bit++) crc = crc & 0x80000000n ? ((crc << 1n) ^ 0x11edc6f41n) & 0xffffffffn : crc << 1n;
  }
  return Number(reflect(crc ^ 0xffffffffn, 32));
}

/** The payloads of a TFRecord file, checksums verified. */
function readRecords(bytes: Buffer): Buffer[] {
  const records: Buffer[] = [];
  const unmask = (masked: number) => {
    const rotated = (masked - 0xa282ead8) >>> 0;
    return ((rotated >>> 17) | (rotated << 15)) >>> 0;
  };
  for (let at = 0; at < bytes.length; ) {
    const length = Number(bytes.readBigUInt64LE(at));
    expect(unmask(bytes.readUInt32LE(at + 8))).toBe(tableCrc(bytes.subarray(at, at + 8)));
    const payload = bytes.subarray(at + 12, at + 12 + length);
    expect(unmask(bytes.readUInt32LE(at + 12 + length))).toBe(tableCrc(payload));
    records.push(payload);
    at += 16 + length;
  }
  return records;
}

/** The fields of a protobuf message by number: varints as bigint, the rest as bytes. */
function readFields(bytes: Buffer): Record<number, (bigint | Buffer)[]> {
  const fields: Record<number, (bigint | Buffer)[]> = {};
  let at = 0;
  const varint = () => {
    let value = 0n;
    for (let shift = 0n; ; shift += 7n) {
      const byte = bytes[at++];
      value |= BigInt(byte & 0x7f) << shift;
      if (byte < 0x80) return value;
    }
  };
  while (at < bytes.length) {
    const key = Number(varint());
    let value: bigint | Buffer;
    if (key % 8 === 0) value = varint();
    else {
      const length = key % 8 === 1 ? 8 : key % 8 === 5 ? 4 : Number(varint());
      value = bytes.subarray(at, at + length);
      at += length;
    }
    fields[key >> 3] = [...(fields[key >> 3] ?? []), value];
  }
  return fields;
}

function readEvent(bytes: Buffer) {
  const fields = readFields(bytes);
  const summary = fields[5] === undefined ? [] : readFields(fields[5][0] as Buffer)[1];
  return {
    wallTime: (fields[1][0] as Buffer).readDoubleLE(),
    step: Number(fields[2]?.[0] ?? 0n),
    fileVersion: fields[3]?.[0].toString(),
    values: summary.map((value) => {
      const { 1: tag, 2: simple } = readFields(value as Buffer);
      return [tag[0].toString(), (simple[0] as Buffer).readFloatLE()];
    }),
    sessionStatus: fields[7] === undefined ? undefined : readFields(fields[7][0] as Buffer)[1][0],
  };
}

describe("crc32c", () => {
  it.each([
    ["123456789", 0xe3069283],
    ["", 0],
    ["a", 0xc1d04330],
    ["\0".repeat(32), 0x8a9136aa], // RFC 3720 B.4
  ])("of %j", (text, expected) => {
    expect(crc32c(Buffer.from(text))).toBe(expected);
    expect(tableCrc(Buffer.from(text))).toBe(expected);
  });

  it("of RFC 3720's 32 bytes of ones and of 0 … 31", () => {
    expect(crc32c(new Uint8Array(32).fill(0xff))).toBe(0x62a8ab43);
    expect(crc32c(Uint8Array.from({ length: 32 }, (_, i) => i))).toBe(0x46dd794e);
  });
});

describe("frameRecord", () => {
  it("equals a frame that TensorFlow wrote", () => {
    // The length checksum of every file_version record of 24 bytes, as in any event file: a3 7f 4b 22.
    const frame = Buffer.from(frameRecord(new Uint8Array(24)));
    expect(frame.subarray(0, 12).toString("hex")).toBe("1800000000000000a37f4b22");
  });
});

describe("an event file", () => {
  it("is named for TensorBoard and read back by an independent reader", () => {
    const file = openEventFile(dir, { now: () => 1700000000.25 });
    file.scalars(0, { "train/loss": 0 });
    file.scalars(2 ** 40, { "train/loss": 1.5, "train/perplexity": 1e300, "train/gradient_norm": Number.NaN });
    file.sync();
    file.close();
    expect(basename(file.path)).toBe(`events.out.tfevents.1700000000.${hostname()}.${process.pid}`);
    const none = { fileVersion: undefined, sessionStatus: undefined, wallTime: 1700000000.25 };
    expect(readRecords(readFileSync(file.path)).map(readEvent)).toEqual([
      { ...none, step: 0, fileVersion: "brain.Event:2", values: [] },
      { ...none, step: 0, values: [["train/loss", 0]] },
      {
        ...none,
        step: 2 ** 40,
        values: [
          ["train/loss", 1.5],
          ["train/perplexity", Number.POSITIVE_INFINITY],
          ["train/gradient_norm", Number.NaN],
        ],
      },
    ]);
  });

  it("of a resumed run tells TensorBoard to discard later steps, and never shares a file", () => {
    const now = () => 1700000000;
    const first = openEventFile(dir, { now });
    const second = openEventFile(dir, { now, resumeStep: 500 });
    expect(second.path).toBe(`${first.path}.1`);
    const [, start] = readRecords(readFileSync(second.path)).map(readEvent);
    expect(start).toMatchObject({ step: 501, sessionStatus: 1n, values: [] });
    first.close();
    second.close();
  });

  it("names the folder that does not exist", () => {
    expect(() => openEventFile(join(dir, "none"))).toThrow("its folder does not exist");
  });
});
