/** The lines of metrics.jsonl that stay when a run goes on from a step. */

export interface KeptRecords {
  /** Whole lines, in order. */
  readonly kept: readonly Uint8Array[];
  /** Lines that are no records: usually the last, half written. */
  readonly damagedLines: number;
  /** Records of later steps, and a "finished" at that step. */
  readonly laterRecords: number;
}

export function recordsUpTo(bytes: Uint8Array, lastStep: number): KeptRecords {
  const kept: Uint8Array[] = [];
  let [damagedLines, laterRecords] = [0, 0];
  for (let start = 0; start < bytes.length; ) {
    const newline = bytes.indexOf(0x0a, start);
    const end = newline < 0 ? bytes.length : newline + 1;
    const record = newline < 0 ? undefined : parseRecord(bytes.subarray(start, newline));
    if (record === undefined) damagedLines++;
    else if (record.step > lastStep || (record.step === lastStep && record.type === "finished")) laterRecords++;
    else kept.push(bytes.subarray(start, end));
    start = end;
  }
  return { kept, damagedLines, laterRecords };
}

/** Step and type of a line, or undefined when it is damaged. */
function parseRecord(line: Uint8Array): { type: string; step: number } | undefined {
  try {
    const { type, step } = JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(line));
    return typeof type === "string" && Number.isSafeInteger(step) ? { type, step } : undefined;
  } catch {
    return undefined;
  }
}
