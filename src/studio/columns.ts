/**
 * The numbers of a run as one binary answer, for runs of many steps: 100,000 are 5 MB, which a page reads without
 * parsing numbers. The length of a header as uint32, little-endian as all numbers here; the header, JSON padded with
 * spaces to a multiple of 8 bytes in all; then the columns one after another, each padded to a multiple of 8 bytes.
 * It runs in a browser.
 */
import type { RunColumns } from "./api.ts";

/** By group, the columns in their order and whether they are float64. */
const LAYOUT = {
  train: {
    ...{ step: true, tokens: true, seconds: true },
    ...{ loss: false, gradientNorm: false, learningRate: false, tokensPerSecond: false },
    memory: true,
  },
  eval: { step: true, tokens: true, seconds: true, loss: false },
} as const;

type Columns = Readonly<Record<string, Float32Array | Float64Array>>;

interface Header extends Pick<RunColumns, "generation" | "next" | "others"> {
  readonly rows: Readonly<Record<keyof typeof LAYOUT, number>>;
}

const padded = (bytes: number) => Math.ceil(bytes / 8) * 8;

export function encodeColumns({ generation, next, others, ...groups }: RunColumns): Uint8Array {
  const rows = { train: groups.train.step.length, eval: groups.eval.step.length };
  const header: Header = { generation, next, others, rows };
  const text = new TextEncoder().encode(JSON.stringify(header));
  const begin = padded(4 + text.length);
  const arrays = Object.entries(LAYOUT).flatMap(([group, columns]) =>
    Object.keys(columns).map((name) => (groups[group as keyof typeof LAYOUT] as Columns)[name]),
  );
  const bytes = new Uint8Array(begin + arrays.reduce((sum, { byteLength }) => sum + padded(byteLength), 0));
  new DataView(bytes.buffer).setUint32(0, begin - 4, true);
  bytes.fill(0x20, 4, begin).set(text, 4);
  let at = begin;
  for (const { buffer, byteOffset, byteLength } of arrays) {
    bytes.set(new Uint8Array(buffer, byteOffset, byteLength), at);
    at += padded(byteLength);
  }
  return bytes;
}

/** The columns are views of the answer, without a copy. Throws a RangeError for bytes that are no such answer. */
export function decodeColumns(answer: ArrayBuffer): RunColumns {
  const length = new DataView(answer).getUint32(0, true);
  const { rows, ...rest }: Header = JSON.parse(new TextDecoder().decode(new Uint8Array(answer, 4, length)));
  let at = 4 + length;
  const groups = Object.entries(LAYOUT).map(([group, columns]) => {
    const count = rows[group as keyof typeof LAYOUT];
    const named = Object.entries(columns).map(([name, wide]) => {
      const column = wide ? new Float64Array(answer, at, count) : new Float32Array(answer, at, count);
      at += padded(column.byteLength);
      return [name, column] as const;
    });
    return [group, Object.fromEntries(named)] as const;
  });
  return { ...rest, ...(Object.fromEntries(groups) as Pick<RunColumns, keyof typeof LAYOUT>) };
}
